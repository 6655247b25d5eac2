"""Clients that go away at random moments, in every mode of every era: nothing works on for them."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import pytest

from breakwater_contract.names import MCP_PATH, ONE_SHOT_PATH, RPC_PATH, SSE_PATH, TOOLS_PATH
from tests.support.rig.line import Line, dial
from tests.support.rig.requests import BOTH, META, MODERN, Speaker, http, rpc, use
from tests.support.rig.target import BOUND_SECONDS, KEY, Target, attacked

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
    plain: bytes | None = None
    """The request, where it is not one of Streamable HTTP."""

    def request(self, speaker: Speaker) -> bytes:
        if self.plain is not None:
            return self.plain
        arguments = {"seconds": FOREVER}
        if self.batch:
            calls = (rpc("tools/call", use(self.tool, arguments), number) for number in (1, 2, 3))
            return speaker.batch(*calls)
        return speaker.call(self.tool, progress=1 if self.tool == "talk" else None, **arguments)


JSON, EVENTS, LINES = "application/json", "text/event-stream", "application/x-ndjson"


def headers(accept: str) -> dict[str, str]:
    return {"content-type": JSON, "accept": accept, "x-api-key": KEY}


def plain(path: str, content: object, accept: str = JSON, *, batch: bool = False) -> Mode:
    """Ask at an endpoint beside `/mcp`."""
    body = json.dumps(content).encode()
    return Mode(Speaker(MODERN), batch=batch, plain=http("POST", path, headers(accept), body))


def called(
    tool: str = "wait", number: int = 1, meta: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """Make a call as JSON-RPC of an older era; with the right `_meta`, of the newest."""
    progress = 1 if tool == "talk" else None
    params = use(tool, {"seconds": FOREVER}, progress=progress)
    params["_meta"] = params.get("_meta", {}) | dict(meta)
    return rpc("tools/call", params, number)


ARGUMENTS = {"seconds": FOREVER}
ONE_SHOT = {"tool": "talk", "input": ARGUMENTS}

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
    "mcp-lines": plain(MCP_PATH, ONE_SHOT, LINES),
    "rpc-json": plain(RPC_PATH, called()),
    "rpc-modern-json": plain(RPC_PATH, called(meta=META)),
    "rpc-stream": plain(RPC_PATH, called("talk"), BOTH),
    "rpc-modern-stream": plain(RPC_PATH, called("talk", meta=META), BOTH),
    "rpc-batch": plain(RPC_PATH, [called(number=each) for each in (1, 2, 3)], batch=True),
    "tools-json": plain(f"{TOOLS_PATH}/wait", ARGUMENTS),
    "tools-events": plain(f"{TOOLS_PATH}/talk", ARGUMENTS, EVENTS),
    "tools-lines": plain(f"{TOOLS_PATH}/talk", ARGUMENTS, LINES),
    "one-shot": plain(ONE_SHOT_PATH, ONE_SHOT, EVENTS),
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


async def listen(target: Target) -> tuple[Line, str]:
    """Open a stream of HTTP+SSE; say where to post."""
    line = await dial(target.port)
    line.send(http("GET", SSE_PATH, headers(EVENTS)))
    await line.head()
    event = await anext(line.chunks())
    return line, event.split(b"data: ")[1].split(b"\n")[0].decode()


async def leave_stream(target: Target, tool: str, moment: random.Random) -> None:
    """Ask by HTTP+SSE, and leave the stream at a random moment."""
    stream, path = await listen(target)
    line = await dial(target.port)
    line.send(http("POST", path, headers(JSON), json.dumps(called(tool)).encode()))
    if moment.random() < 0.9:  # else the stream may have ended before the call is there
        await line.head()
    await asyncio.sleep(moment.uniform(0, LONGEST_SECONDS))
    for each in (stream, line):
        each.reset() if moment.random() < 0.5 else each.close()


async def crowd(leave: Callable[[random.Random], Awaitable[None]]) -> None:
    """Have all clients come and go, so many at once."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with places:
            await leave(random.Random(number))

    await asyncio.gather(*map(one, range(CLIENTS)))


async def check_all_given_up(target: Target, before: dict[str, int], calls: int) -> None:
    after = await counted(target)
    assert after["begun"] - before["begun"] > calls / 2
    assert after["async"] == 0
    assert target.metric("http_server_active_requests") == 0
    target.assert_well()


@pytest.mark.requirement("A4")
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
async def test_nothing_runs_on_once_its_client_is_given_up(target: Target, mode: Mode) -> None:
    before = await counted(target)
    speaker = await session_of(target, mode.speaker) if mode.session else mode.speaker

    await crowd(partial(leave, target, mode, speaker))
    await asyncio.to_thread(target.until, lambda: not target.metric("mcp_connections"))
    await asyncio.sleep(mode.given_up_seconds + AT_ONCE_SECONDS)

    await check_all_given_up(target, before, CLIENTS * (3 if mode.batch else 1))


@pytest.mark.requirement("A1", "A4")
@pytest.mark.parametrize("tool", ["wait", "talk"])
async def test_nothing_runs_on_once_the_stream_of_its_client_has_ended(
    target: Target, tool: str
) -> None:
    before = await counted(target)

    await crowd(partial(leave_stream, target, tool))
    await asyncio.to_thread(target.until, lambda: not target.metric("mcp_connections"))
    await asyncio.sleep(AT_ONCE_SECONDS)

    await check_all_given_up(target, before, CLIENTS)
    assert target.metric("mcp_streams") == 0


@pytest.mark.requirement("A4", "K3")
async def test_no_listener_is_kept_for_a_client_that_left(target: Target) -> None:
    request = Speaker(MODERN).post(
        "subscriptions/listen", {"notifications": {"toolsListChanged": True}}
    )

    async def one(moment: random.Random) -> None:
        line = await dial(target.port)
        line.send(request)
        await asyncio.sleep(moment.uniform(0, LONGEST_SECONDS))
        line.reset() if moment.random() < 0.5 else line.close()

    await crowd(one)
    await asyncio.to_thread(target.until, lambda: not target.metric("mcp_connections"))

    assert target.metric("mcp_streams") == 0
    target.assert_well()


BLOCKING = {
    "modern": Speaker(MODERN).call("block", seconds=5),
    "older": Speaker("2025-11-25").call("block", seconds=5),
    "rpc": http(
        "POST",
        RPC_PATH,
        headers(JSON),
        json.dumps(rpc("tools/call", use("block", {"seconds": 5}))).encode(),
    ),
    "tools": http("POST", f"{TOOLS_PATH}/block", headers(JSON), b'{"seconds": 5}'),
}


@pytest.mark.requirement("A4")
@pytest.mark.parametrize("request_", BLOCKING.values(), ids=BLOCKING.keys())
async def test_synchronous_tools_that_go_on_are_counted_until_they_end(
    target: Target, request_: bytes
) -> None:
    before = (await counted(target))["begun"]
    lines = [await dial(target.port) for _ in range(10)]
    for line in lines:
        line.send(request_)
    # A request is active before its tool has a thread.
    async with asyncio.timeout(BOUND_SECONDS):
        while (await counted(target))["begun"] < before + len(lines):  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.05)

    for line in lines:
        line.reset()
    await asyncio.to_thread(target.until, lambda: target.metric("mcp_lost_threads") == len(lines))
    still = (await counted(target))["sync"]
    await asyncio.to_thread(target.until, lambda: not target.metric("mcp_lost_threads"))

    assert still == len(lines)
    after = await counted(target)
    assert (after["begun"], after["sync"]) == (before + len(lines), 0)
