"""Clients that go away at random moments, in every mode of every era: nothing works on for them."""

import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.rig.line import dial
from tests.support.rig.requests import MODERN, Speaker, rpc, use
from tests.support.rig.target import Target, attacked

pytestmark = pytest.mark.process

CLIENTS = 1000
AT_ONCE = 100
LONGEST_SECONDS = 0.3
"""Until when a client goes away; tools take longer than any test."""

FOREVER = 3600.0
AT_ONCE_SECONDS = 1.0
"""After the moment that the table says, nothing may be running."""

RESUMABLE_SECONDS = 15.0
"""docs/reference/mcp.md: for how long a client may come back for a stream with event ids."""


@dataclass(frozen=True)
class Mode:
    """How a client asks, and when its call is given up once it is gone."""

    speaker: Speaker
    tool: str = "wait"
    batch: bool = False
    session: bool = False
    given_up_seconds: float = 0.0

    def request(self, speaker: Speaker) -> bytes:
        arguments = {"seconds": FOREVER}
        if self.batch:
            calls = (rpc("tools/call", use(self.tool, arguments), number) for number in (1, 2, 3))
            return speaker.batch(*calls)
        return speaker.call(self.tool, progress=1 if self.tool == "talk" else None, **arguments)


MODES = {
    "modern-json": Mode(Speaker(MODERN)),
    "modern-stream": Mode(Speaker(MODERN), "talk"),
    "2025-11-25-json": Mode(Speaker("2025-11-25")),
    "2025-11-25-stream": Mode(Speaker("2025-11-25"), "talk"),
    "2025-11-25-session-json": Mode(Speaker("2025-11-25"), session=True),
    "2025-11-25-session-stream": Mode(
        Speaker("2025-11-25"), "talk", session=True, given_up_seconds=RESUMABLE_SECONDS
    ),
    "2025-06-18-json": Mode(Speaker("2025-06-18")),
    "2025-06-18-stream": Mode(Speaker("2025-06-18"), "talk"),
    "2025-06-18-session-stream": Mode(
        Speaker("2025-06-18"), "talk", session=True, given_up_seconds=RESUMABLE_SECONDS
    ),
    "2025-03-26-json": Mode(Speaker("2025-03-26")),
    "2025-03-26-batch": Mode(Speaker("2025-03-26"), batch=True),
    "2025-03-26-batch-stream": Mode(Speaker("2025-03-26"), "talk", batch=True),
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with attacked(tmp_path_factory.mktemp("target")) as target:
        yield target


async def counted(target: Target) -> dict[str, int]:
    """Ask how many tools run."""
    line = await dial(target.port)
    answer = await line.ask(Speaker(MODERN).call("count"))
    line.close()
    counts: dict[str, int] = json.loads(json.loads(answer.body)["result"]["content"][0]["text"])
    return counts


async def session_of(target: Target, speaker: Speaker) -> Speaker:
    line = await dial(target.port)
    answer = await line.ask(speaker.initialize({"sampling": {}}))
    line.close()
    return Speaker(speaker.version, answer.header("mcp-session-id"))


async def leave(target: Target, mode: Mode, speaker: Speaker, moment: random.Random) -> None:
    """Ask, and go away at a random moment: while sending, before the answer, or in its middle."""
    line, request = await dial(target.port), mode.request(speaker)
    whole = moment.random() < 0.9
    line.send(request if whole else request[: moment.randrange(len(request))])
    await asyncio.sleep(moment.uniform(0, LONGEST_SECONDS))
    line.reset() if moment.random() < 0.5 else line.close()


async def crowd(target: Target, mode: Mode) -> None:
    """Have all clients come and go, so many at once."""
    speaker = await session_of(target, mode.speaker) if mode.session else mode.speaker
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with places:
            await leave(target, mode, speaker, random.Random(number))

    await asyncio.gather(*map(one, range(CLIENTS)))


@pytest.mark.requirement("A4")
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
async def test_nothing_runs_on_once_its_client_is_given_up(target: Target, mode: Mode) -> None:
    before = await counted(target)

    await crowd(target, mode)
    await asyncio.to_thread(target.until, lambda: not target.metric("mcp_connections"))
    await asyncio.sleep(mode.given_up_seconds + AT_ONCE_SECONDS)
    after = await counted(target)

    calls = CLIENTS * (3 if mode.batch else 1)
    assert after["begun"] - before["begun"] > calls / 2
    assert after["async"] == 0
    assert target.metric("http_server_active_requests") == 0
    target.assert_well()


@pytest.mark.requirement("A4", "K3")
async def test_no_listener_is_kept_for_a_client_that_left(target: Target) -> None:
    listen = Speaker(MODERN).post(
        "subscriptions/listen", {"notifications": {"toolsListChanged": True}}
    )

    async def one(number: int) -> None:
        async with places:
            line, moment = await dial(target.port), random.Random(number)
            line.send(listen)
            await asyncio.sleep(moment.uniform(0, LONGEST_SECONDS))
            line.reset() if moment.random() < 0.5 else line.close()

    places = asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(*map(one, range(CLIENTS)))
    await asyncio.to_thread(target.until, lambda: not target.metric("mcp_connections"))

    assert target.metric("mcp_streams") == 0
    target.assert_well()


@pytest.mark.requirement("A4")
async def test_synchronous_tools_that_go_on_are_counted_until_they_end(target: Target) -> None:
    before = (await counted(target))["begun"]
    lines = [await dial(target.port) for _ in range(10)]
    for line in lines:
        line.send(Speaker(MODERN).call("block", seconds=5))
    active = "http_server_active_requests"
    await asyncio.to_thread(target.until, lambda: target.metric(active) == len(lines))
    assert (await counted(target))["begun"] == before + len(lines)

    for line in lines:
        line.reset()
    await asyncio.to_thread(target.until, lambda: target.metric("mcp_lost_threads") == len(lines))
    still = (await counted(target))["sync"]
    await asyncio.to_thread(target.until, lambda: not target.metric("mcp_lost_threads"))

    assert still == len(lines)
    assert (await counted(target))["sync"] == 0
