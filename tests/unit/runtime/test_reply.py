import asyncio

import pytest

from breakwater_runtime.calls import Call
from breakwater_runtime.protocol import reply
from breakwater_runtime.protocol.streamable_http import StreamableHttp
from tests.unit.runtime.asgi import Caller, Exchange
from tests.unit.runtime.fakes import FakeBackend, FakeIds

ERAS = ["modern", "older"]


@pytest.fixture
def caller(backend: FakeBackend) -> Caller:
    return Caller(StreamableHttp(backend, FakeIds()))


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the silence that is too long come at once."""
    monkeypatch.setattr("breakwater_runtime.protocol.ticker.TICK_SECONDS", 0.01)
    monkeypatch.setattr(reply, "SILENT_SECONDS", 0.02)
    monkeypatch.setattr("breakwater_runtime.protocol.ticker.HEARTBEAT_SECONDS", 0.02)


def ask(caller: Caller, era: str) -> Exchange:
    return caller.modern("tools/list") if era == "modern" else caller.older("tools/list")


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("waits", [0, 3])
async def test_a_call_that_says_nothing_is_answered_in_json(
    caller: Caller, backend: FakeBackend, era: str, waits: int
) -> None:
    async def work(call: Call) -> bytes:
        for _ in range(waits):
            await asyncio.sleep(0)
        return b'{"a":1}'

    backend.work = work
    exchange = ask(caller, era)

    assert await exchange.json() == {"jsonrpc": "2.0", "id": 1, "result": {"a": 1}}
    assert exchange.headers["content-type"] == "application/json"


@pytest.mark.parametrize("era", ERAS)
async def test_the_first_word_makes_it_a_stream(
    caller: Caller, backend: FakeBackend, era: str
) -> None:
    heard = asyncio.Event()

    async def work(call: Call) -> bytes:
        await call.channel.notify("notifications/message", {"data": 1})
        await heard.wait()
        return b"{}"

    backend.work = work
    exchange = ask(caller, era)

    assert await exchange.event() == {
        "jsonrpc": "2.0",
        "method": "notifications/message",
        "params": {"data": 1},
    }
    assert exchange.headers["content-type"] == "text/event-stream"
    assert exchange.headers["x-accel-buffering"] == "no"
    heard.set()
    assert await exchange.event() == {"jsonrpc": "2.0", "id": 1, "result": {}}
    await exchange.ended()
    assert exchange.complete


@pytest.mark.usefixtures("hurried")
async def test_silence_makes_it_a_stream_that_is_kept_alive(
    caller: Caller, backend: FakeBackend
) -> None:
    enough = asyncio.Event()

    async def work(call: Call) -> bytes:
        await enough.wait()
        return b"{}"

    backend.work = work
    exchange = caller.modern("tools/list")

    assert [await exchange.chunk() for _ in range(3)] == [b"", b": \n\n", b": \n\n"]
    enough.set()
    while (last := await exchange.chunk()) == b": \n\n":
        pass
    assert b'"result"' in last


@pytest.mark.parametrize("speaks", [False, True])
@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_goes_away_cancels_its_call(
    caller: Caller, backend: FakeBackend, era: str, speaks: bool
) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def work(call: Call) -> bytes:
        if speaks:
            await call.channel.notify("notifications/message", {})
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return b"{}"

    backend.work = work
    exchange = ask(caller, era)
    await begun.wait()
    exchange.disconnect()
    await exchange.ended()

    assert cancelled.is_set()
    assert exchange.status == (200 if speaks else 0)


async def test_time_outs_of_a_tool_are_its_own(caller: Caller, backend: FakeBackend) -> None:
    async def work(call: Call) -> bytes:
        try:
            async with asyncio.timeout(0.01), asyncio.TaskGroup() as group:
                group.create_task(asyncio.Event().wait())
        except TimeoutError:
            return b'"too late"'
        return b"{}"

    backend.work = work

    assert (await caller.modern("tools/list").json())["result"] == "too late"


async def test_a_process_that_stops_is_not_a_client_that_went_away(
    caller: Caller, backend: FakeBackend
) -> None:
    begun = asyncio.Event()

    async def work(call: Call) -> bytes:
        begun.set()
        await asyncio.Event().wait()
        return b"{}"

    backend.work = work
    exchange = caller.modern("tools/list")
    await begun.wait()
    exchange.task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await exchange.task


async def test_equal_ids_at_once_each_get_their_own_answer(
    caller: Caller, backend: FakeBackend
) -> None:
    waiting = asyncio.Barrier(100)

    async def work(call: Call) -> bytes:
        await waiting.wait()
        return str((call.params or {})["number"]).encode()

    session = await caller.initialize(sampling={})
    backend.work = work
    exchanges = [caller.older("x", 1, session, number=number) for number in range(100)]

    assert [(await each.json())["result"] for each in exchanges] == list(range(100))
