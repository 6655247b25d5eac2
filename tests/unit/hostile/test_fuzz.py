"""Whatever is sent to any endpoint, there is an answer or an end, and no failure of ours."""

import asyncio
import collections
import contextlib
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.support.rig import fuzz, soak
from tests.support.rig.doors import DOORS, OPEN
from tests.support.rig.line import GoneError, dial
from tests.support.rig.proof import Proof
from tests.support.rig.target import BOUND_SECONDS, KEY, Target, attacked

pytestmark = pytest.mark.process

AT_ONCE = 400
"""Many inputs are not whole, and wait for the server's patience to end."""

LIMITS: dict[str, Any] = {
    "timeouts": {"headers": "500ms", "body": "500ms", "answer": "2s", "call": "2s"},
    # So many are soon there, and memory no longer grows with them.
    "sessions": {"perPrincipal": 50},
}

ALLOWED = {503, 504, 505}
"""What may be answered from 500 on: that it is too much, takes too long, or is not HTTP/1.1."""

WITH_KEY = [*(each for make in DOORS.values() for each in make(KEY))]
WITHOUT = [*(each for make in DOORS.values() for key in (None, "wrong") for each in make(key))]
NEEDS_NONE = [each for requests in OPEN.values() for each in requests]

GROWTH_BYTES_MAX = 16_000_000
"""How much memory may grow over a short run, in which it gets warm."""

Outcomes = collections.Counter[str]


async def answer_to(port: int, data: bytes) -> int | None:
    """Send an input; return the status of its first answer. None: the connection was ended.

    Raises:
        AssertionError: Neither came.
    """
    line = await dial(port)
    try:
        line.send(data)
        with contextlib.suppress(GoneError, ConnectionError):
            async with asyncio.timeout(BOUND_SECONDS):
                return (await line.head())[0]
    except TimeoutError:
        raise AssertionError(f"neither an answer nor an end: {data!r}") from None
    else:
        return None
    finally:
        line.reset()


async def part(target: Target, first: int, count: int) -> Outcomes:
    """Send inputs from `first` on, half of them without a good credential."""
    outcomes: Outcomes = collections.Counter()
    numbers = iter(range(first, first + count))

    async def go_on() -> None:
        for number in numbers:
            if number % 2:
                status = await answer_to(target.port, fuzz.mutated(WITH_KEY, number))
            else:
                status = await answer_to(target.port, fuzz.mutated(WITHOUT, number))
                assert status is None or status >= 300, f"input {number} was let in: {status}"
            well = status is None or status < 500 or status in ALLOWED
            assert well, f"input {number} was answered {status}"
            outcomes[str(status)] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(go_on())
    return outcomes


def fuzzed(target: Target, proof: Proof) -> Outcomes:
    """Do what is left of a proof; return what the answers were."""
    for number in proof.parts():
        outcomes = uvloop.run(part(target, number * proof.part, proof.part))
        target.assert_well()
        proof.keep({"outcomes": outcomes, "rss": target.rss_bytes(), "pid": target.process.pid})
    whole: Outcomes = collections.Counter()
    for each in proof.done:
        whole.update(each["outcomes"])
    return whole


@pytest.mark.requirement("G5", "T5")
def test_whatever_is_sent_is_answered_or_ended(tmp_path: Path) -> None:
    proof = Proof("fuzz-in-short", 20_000, part=10_000, states=tmp_path)
    with attacked(tmp_path, limits=LIMITS) as target:
        outcomes = fuzzed(target, proof)
    grew = proof.done[-1]["rss"] - proof.done[0]["rss"]

    assert outcomes.total() == proof.total
    assert {"200", "400", "401", "404"} <= outcomes.keys()
    assert grew < GROWTH_BYTES_MAX


@pytest.mark.prove
@pytest.mark.requirement("G5", "T5")
def test_a_million_inputs_are_answered_or_ended(tmp_path: Path, share: float) -> None:
    proof = Proof("fuzzing", int(1_000_000 * share), part=20_000)
    with attacked(tmp_path, limits=LIMITS) as target:
        outcomes = fuzzed(target, proof)
    grew = soak.growth(proof)

    assert grew < soak.GROWTH_BYTES_MAX
    counts = ", ".join(f"{status} {count:,}" for status, count in sorted(outcomes.items()))
    proof.write(
        "Fuzzing",
        "Valid requests to every endpoint, changed at random in their bytes, headers and JSON; "
        "half of them without a good credential. Each was answered, or its connection ended, by a "
        "server that went on; none failed with 500, and without a credential none was let in.",
        {
            "inputs": f"{proof.total:,}",
            "answers by status (None: ended without one)": counts,
            "growth per 100,000 after warm-up": f"{grew / 1e6:.2f} MB (at most 2)",
            "resident at the end": f"{proof.done[-1]['rss'] / 1e6:.0f} MB",
        },
    )


async def test_what_needs_no_credential_gives_nothing_away(tmp_path: Path) -> None:
    with attacked(tmp_path) as target:
        statuses = [await answer_to(target.port, request) for request in NEEDS_NONE]

    assert statuses == [404, 403]
