"""Many large answers of a server behind HTTP at once: a runtime's memory is bounded all the same.

Prints what it measured where pytest shows output (`-s`).
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from tests.support.rig.line import GoneError, Line, dial
from tests.support.rig.requests import http
from tests.unit.runtime import answering
from tests.unit.runtime.answering import Asked, Respond
from tests.unit.runtime.test_hostile_children_process import peak, resident
from tests.unit.runtime.test_process import (
    Running,
    call,
    client,
    message,
    modern,
    prepare,
    reserved,
    running,
    settings,
)

pytestmark = [pytest.mark.process, pytest.mark.requirement("T5", "G7")]

CALLERS, SLEEPERS, MANY_SLEEPERS = 64, 4, 40
TEXT = b"x" * (16 * 1024 * 1024 - 4096)
SLICE = 256 * 1024
GROWTH_MAX = 320 * 1024 * 1024
"""By how much the runtime may grow at its peak: with what it has before, less than the 512 MiB that
a pod has by default. All answers at once are 1,024 MiB, and each exists twice for a while."""

SECONDS_MAX = 180
"""How long anything may take on a busy machine; never what a test is about."""

BUFFER_BYTES = 64 * 1024
PYTHON = """
from mcp.server import MCPServer

mcp = MCPServer("big")

@mcp.tool(structured_output=False)
async def large() -> str:
    return "x" * (15 * 1024 * 1024)
"""
HASTE = "from breakwater_runtime.resilience import answer_room; answer_room.HOLD_SECONDS = 2.0\n"


async def as_json(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Answer with a document that says how long it is."""
    before, behind = around(asked)
    length = len(before) + len(TEXT) + len(behind)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
    writer.write(b"content-length: %d\r\n\r\n" % length)
    for part in (before, *slices(), behind):
        writer.write(part)
        await writer.drain()


async def as_event(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Answer with an event, of which nobody knows how long it gets."""
    before, behind = around(asked)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
    writer.write(b"transfer-encoding: chunked\r\n\r\n")
    for part in (b"data: " + before, *slices(), behind + b"\n\n"):
        writer.write(b"%x\r\n%b\r\n" % (len(part), part))
        await writer.drain()
    writer.write(b"0\r\n\r\n")


def around(asked: Asked) -> tuple[bytes, bytes]:
    """Get what stands before and behind the text."""
    before, _, behind = answering.result(
        asked, {"content": [{"type": "text", "text": "|"}]}
    ).partition(b"|")
    return before, behind


def slices() -> Iterator[bytes]:
    """Cut the text."""
    return (TEXT[start : start + SLICE] for start in range(0, len(TEXT), SLICE))


@asynccontextmanager
async def gateway(folder: Path, respond: Respond, first: str = "") -> AsyncIterator[Running]:
    """Run a gateway of a server in Python, and of one behind HTTP with large answers."""
    with reserved() as ports:
        async with answering.answering(answering.older(respond)) as server:
            content = settings(ports)
            content["backends"] = [
                {"name": "good", "python": {"server": "weather:mcp"}},
                {"name": "big", "container": {"http": {"port": server.port}}},
            ]
            with running(prepare(folder, content), ports, first=first) as runtime:
                health = f"{runtime.management}/health"
                await runtime.ready()
                await runtime.until(lambda: httpx2.get(health).status_code == 200)
                yield runtime


def asking(tool: str = "big_echo") -> bytes:
    """Ask for a large answer."""
    headers = modern("tools/call", tool)
    body = message("tools/call", name=tool, arguments={})
    return http("POST", "/mcp", headers, json.dumps(body).encode())


async def caller(runtime: Running) -> Line:
    """Connect."""
    return await dial(int(runtime.public.rpartition(":")[2]), buffer=BUFFER_BYTES)


async def told(runtime: Running) -> str:
    """Call, read the answer as it comes, keep none of it, and say what it was."""
    line = await caller(runtime)
    try:
        line.send(asking())
        async with asyncio.timeout(SECONDS_MAX):
            return await outcome(line)
    finally:
        line.reset()


async def outcome(line: Line) -> str:
    """Read an answer."""
    status, head = await line.head()
    if b"text/event-stream" in head:
        size, last = 0, b""
        async for chunk in line.chunks():
            size, last = size + len(chunk), (last + chunk)[-1024:]
    else:
        left = size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        last = b""
        while left:
            part = await line.reader.read(min(left, SLICE))
            if not part:
                raise GoneError
            left, last = left - len(part), (last + part)[-1024:]
    if size > len(TEXT):
        return "whole"
    return "refused" if b'"OVERLOADED"' in last and status in {200, 503} else repr(last)


@pytest.mark.parametrize("respond", [as_json, as_event])
async def test_all_are_answered_or_refused_and_nobody_else_waits(
    tmp_path: Path, respond: Respond
) -> None:
    async with gateway(tmp_path, respond) as runtime, client(runtime) as other:
        before = resident(runtime.process.pid)
        calls = [asyncio.create_task(told(runtime)) for _ in range(CALLERS)]
        neighbours = 0
        while not all(each.done() for each in calls):
            assert await call(other, "good_forecast", city="Rome") == "sun in Rome"
            neighbours += 1
            await asyncio.sleep(0.05)
        outcomes = Counter(each.result() for each in calls)
        grown = peak(runtime.process.pid) - before

    print(f"{respond.__name__}: +{grown / 1e6:.0f} MB, {dict(outcomes)}, {neighbours} others")  # noqa: T201 - a figure
    assert outcomes["whole"] >= CALLERS // 2
    assert outcomes["whole"] + outcomes["refused"] == CALLERS, outcomes
    assert grown < GROWTH_MAX
    assert neighbours > 1


async def test_who_does_not_read_is_cut_where_others_wait(tmp_path: Path) -> None:
    async with gateway(tmp_path, as_json, first=HASTE) as runtime:
        before = resident(runtime.process.pid)
        sleepers = [await caller(runtime) for _ in range(SLEEPERS)]
        for each in sleepers:
            each.send(asking())
        async with asyncio.timeout(SECONDS_MAX):
            while not (await runtime.metrics()).get("mcp_large_answers_waiting"):  # noqa: ASYNC110 - it is a figure, and no event
                await asyncio.sleep(0.05)
        used = (await runtime.metrics())["mcp_large_answer_bytes"]

        awake = await told(runtime)
        cut = (await runtime.metrics())["mcp_cut_total"]
        grown = peak(runtime.process.pid) - before
        for each in sleepers:
            each.reset()

    assert used > len(TEXT)
    assert awake == "whole"
    assert 1 <= cut <= SLEEPERS
    assert grown < GROWTH_MAX


async def test_answers_of_other_backends_have_a_bound_while_nobody_reads_them(
    tmp_path: Path,
) -> None:
    (tmp_path / "big.py").write_text(PYTHON)
    with reserved() as ports:
        content = settings(ports)
        content["backends"] = [{"python": {"server": "big:mcp"}}]
        with running(prepare(tmp_path, content), ports, first=HASTE) as runtime:
            await runtime.ready()
            before = resident(runtime.process.pid)
            lines = [await caller(runtime) for _ in range(MANY_SLEEPERS)]
            for each in lines:
                each.send(asking("large"))
            answers = [asyncio.create_task(each.head()) for each in lines]
            done, waiting = await asyncio.wait(answers, timeout=5)
            for task in waiting:
                task.cancel()
            grown = peak(runtime.process.pid) - before
            metrics = await runtime.metrics()
            for each in lines:
                each.reset()

    print(f"python: +{grown / 1e6:.0f} MB, {len(done)} of {len(lines)} answered")  # noqa: T201 - a figure
    assert metrics["mcp_large_answer_bytes"] > len(TEXT) // 2
    assert grown < GROWTH_MAX
