"""Clients that only occupy a place: the others are served, and memory stays within bounds."""

import asyncio
import re
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.rig.line import GoneError, Line, dial, sources
from tests.support.rig.requests import MODERN, Speaker
from tests.support.rig.target import BOUND_SECONDS, KEY, Target, attacked

pytestmark = [pytest.mark.process, pytest.mark.requirement("K2", "K3", "T5")]

CONNECTIONS = 10_000
LIMITS: dict[str, Any] = {
    "connections": CONNECTIONS,
    "connectionsPerAddress": CONNECTIONS,
    "timeouts": {"headers": "2s", "body": "2s", "answer": "2s"},
}
OWN_FILES = 500
"""Files of this process that are no connections."""

HEAD = f"POST /mcp HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\n".encode()
JSON = b"content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
ECHO = Speaker(MODERN).call("echo", text="hello")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = CONNECTIONS + OWN_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise RuntimeError(f"{needed} open files are needed, {hard} allowed: raise `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    with attacked(tmp_path_factory.mktemp("target"), limits=LIMITS) as target:
        yield target
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def undisturbed(target: Target) -> AsyncIterator[None]:
    """Have another client ask all the while, over one connection, and get its answers."""
    line, ended, answered = await dial(target.port), asyncio.Event(), 0

    async def go_on() -> None:
        nonlocal answered
        while not ended.is_set():
            assert (await line.ask(ECHO)).status == 200
            answered += 1
            await asyncio.sleep(0.01)

    asking = asyncio.create_task(go_on())
    try:
        yield
    finally:
        ended.set()
        await asking
        line.close()
    assert answered


async def over(line: Line) -> bytes:
    """Wait for the end of a connection; get what came before it."""
    async with asyncio.timeout(BOUND_SECONDS):
        try:
            return await line.reader.read()
        except ConnectionError:
            return b""
        finally:
            line.close()


FLOODS = {
    "many-headers": (HEAD + b"".join(b"x-%d: y\r\n" % n for n in range(5000)) + b"\r\n", b"431"),
    "endless-header": (HEAD + b"x: " + b"y" * 1_000_000, b"431"),
    "endless-url": (b"GET /" + b"a" * 1_000_000, b"414"),
    "slow-headers": (HEAD + b"x: y\r\n", b"408"),
    "slow-body": (HEAD + JSON + b"content-length: 1000\r\n\r\n{", b"408"),
    "huge-length": (HEAD + JSON + b"content-length: 99999999999999\r\n\r\n{", b"413"),
    "endless-chunks": (
        HEAD
        + JSON
        + b"transfer-encoding: chunked\r\n\r\n"
        + b"10000\r\n%b\r\n" % (b" " * 65536) * 80,
        b"413",
    ),
    "chunk-that-never-ends": (
        HEAD + JSON + b"transfer-encoding: chunked\r\n\r\nfffffff\r\n" + b" " * 5_000_000,
        b"413",
    ),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_a_hundred_at_once_are_refused_and_leave_nothing_behind(
    target: Target, name: str
) -> None:
    sent, status = FLOODS[name]
    before = target.rss_bytes()

    async with undisturbed(target):
        lines = [await dial(target.port) for _ in range(100)]
        for line in lines:
            line.send(sent)
        heads = [await over(line) for line in lines]
        peak = target.rss_bytes()

    # Who still sends when the answer is long gone may lose it: the connection is reset.
    told = [head for head in heads if head]
    assert all(head.startswith(b"HTTP/1.1 " + status) for head in told), told[:3]
    assert len(told) > 50
    assert peak - before < 60_000_000
    await asyncio.to_thread(target.until, lambda: target.metric("mcp_connections") == 0)
    target.assert_well()


async def test_who_does_not_read_is_cut_and_holds_up_nobody(target: Target) -> None:
    before = target.rss_bytes()
    large = Speaker(MODERN).call("large", size=4_000_000)

    async with undisturbed(target):
        lines = [await dial(target.port, buffer=4096) for _ in range(20)]
        for line in lines:
            line.send(large)
        heads = [asyncio.create_task(line.head()) for line in lines]

        def ended() -> float:
            """Count who was cut, and who was told that there are too many large answers."""
            return target.metric("mcp_cut_total", reason="slow_reader") + refusals(heads)

        await asyncio.to_thread(target.until, lambda: ended() >= len(lines))
        peak = target.rss_bytes()
        await asyncio.gather(*heads, return_exceptions=True)
        for line in lines:
            line.reset()

    # What waits for them is the result, and what the transport holds of it.
    assert peak - before < len(lines) * 3 * 4_000_000
    assert refusals(heads) < len(lines) // 2
    target.assert_well()


def refusals(heads: list[asyncio.Task[tuple[int, bytes]]]) -> int:
    """Count the answers that are here and not large."""
    here = [each.result()[1] for each in heads if each.done() and not each.exception()]
    return sum(re.search(rb"content-length: [0-9]{1,4}\r", head) is not None for head in here)


async def test_what_is_sent_ahead_is_not_worked_off(target: Target) -> None:
    async with undisturbed(target):
        line = await dial(target.port)
        line.send(ECHO * 10_000)
        first = await line.answer()
        rest = await over(line)

    assert first.status == 200
    assert rest == b""
    assert target.metric("mcp_cut_total", reason="pipelined") >= 1
    target.assert_well()


async def test_ten_thousand_connections_are_held_and_one_more_is_answered(target: Target) -> None:
    before, addresses = target.rss_bytes(), sources()
    async with undisturbed(target):
        lines: list[Line] = []
        while (more := min(100, CONNECTIONS - 1 - len(lines))) > 0:  # and that of the other client
            dialled = (dial(target.port, source=next(addresses)) for _ in range(more))
            lines += await asyncio.gather(*dialled)
            for each in lines[-more:]:
                each.send(ECHO)
            for each in lines[-more:]:
                assert (await each.answer()).status == 200
        held = target.metric("mcp_connections")
        near = target.metric("mcp_near_limit", limit="connections")
        beyond = [await refused(target) for _ in range(20)]
        peak = target.rss_bytes()
        again = [await each.ask(ECHO) for each in lines[:: CONNECTIONS // 50]]
    for each in lines:
        each.reset()

    assert (held, near) == (CONNECTIONS, 1)
    assert beyond == [(503, True)] * 20
    assert {answer.status for answer in again} == {200}
    assert (peak - before) / CONNECTIONS < 25_000
    await asyncio.to_thread(target.until, lambda: target.metric("mcp_connections") == 0)
    assert (await refused(target))[0] == 200
    target.assert_well()


async def refused(target: Target) -> tuple[int, bool]:
    """Ask over a new connection; get the status, and whether it says when to come back."""
    line = await dial(target.port)
    try:
        answer = await line.ask(ECHO)
    except GoneError:
        return 0, False
    finally:
        line.close()
    return answer.status, int(answer.header("retry-after") or 0) > 0
