import asyncio

import pytest
from mcp.server import MCPServer
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated, ToolsListChanged

from breakwater_runtime.backends.python import PythonBackend
from breakwater_runtime.protocol import listeners
from breakwater_runtime.protocol.streamable_http import StreamableHttp
from tests.unit.runtime.asgi import Caller, event
from tests.unit.runtime.fakes import FakeBackend, FakeIds

ID = "io.modelcontextprotocol/subscriptionId"


@pytest.fixture
def endpoint(backend: FakeBackend) -> StreamableHttp:
    backend.listening = True
    return StreamableHttp(backend, FakeIds())


async def test_a_listener_hears_until_the_end(
    endpoint: StreamableHttp, backend: FakeBackend
) -> None:
    stream = Caller(endpoint).modern("subscriptions/listen", 7)
    await asyncio.sleep(0)
    backend.ears[0]("changed", {"a": 1})

    assert await stream.event() == {"jsonrpc": "2.0", "method": "changed", "params": {"a": 1}}
    endpoint.end_streams()
    assert await stream.event() == {"jsonrpc": "2.0", "id": 7, "result": {"ended": True}}
    await stream.ended()
    assert (stream.complete, backend.ears) == (True, [])


async def test_a_listener_that_leaves_is_forgotten(
    endpoint: StreamableHttp, backend: FakeBackend
) -> None:
    stream = Caller(endpoint).modern("subscriptions/listen")
    await asyncio.sleep(0)
    assert len(backend.ears) == 1

    stream.disconnect()
    await stream.ended()

    assert backend.ears == []


async def test_a_listener_that_does_not_read_is_ended(
    endpoint: StreamableHttp, backend: FakeBackend
) -> None:
    stream = Caller(endpoint).modern("subscriptions/listen")
    await asyncio.sleep(0)
    for _ in range(listeners.WAITING_MAX + 10):
        (backend.ears or [lambda *_: None])[0]("changed", None)

    content = await stream.chunk()
    await stream.ended()

    assert content.count(b"changed") == listeners.WAITING_MAX
    assert b'"result"' in content


async def test_silence_is_broken(endpoint: StreamableHttp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("breakwater_runtime.protocol.ticker.TICK_SECONDS", 0.01)
    monkeypatch.setattr("breakwater_runtime.protocol.ticker.HEARTBEAT_SECONDS", 0.01)

    stream = Caller(endpoint).modern("subscriptions/listen")

    assert await stream.chunk() == b": \n\n"
    stream.disconnect()
    await stream.ended()


async def test_a_listener_is_a_task_and_no_more(
    endpoint: StreamableHttp, backend: FakeBackend
) -> None:
    before = len(asyncio.all_tasks())

    streams = [Caller(endpoint).modern("subscriptions/listen") for _ in range(100)]
    await asyncio.sleep(0.01)

    assert len(backend.ears) == 100
    assert len(asyncio.all_tasks()) - before == 100
    for each in streams:
        each.disconnect()
        await each.ended()


WANTED = {"toolsListChanged": True, "resourceSubscriptions": ["test://a"]}


async def test_a_python_server_is_listened_to_as_the_sdk_would() -> None:
    bus = InMemorySubscriptionBus()
    server = MCPServer("listened", subscriptions=bus)
    backend = PythonBackend("main", server)

    async def heard(*, middleware: bool) -> list[object]:
        if middleware:  # then the SDK serves it
            server.middleware.append(lambda ctx, call_next: call_next(ctx))
        endpoint = StreamableHttp(backend, FakeIds())
        stream = Caller(endpoint).modern("subscriptions/listen", "x", notifications=WANTED)
        chunks = [await stream.chunk()]
        for change in (
            ToolsListChanged(),
            ResourceUpdated("test://b"),
            ResourceUpdated("test://a"),
        ):
            await bus.publish(change)
            await asyncio.sleep(0.01)
        endpoint.end_streams()
        while not stream.complete or not stream._sent.empty():
            chunks.append(await stream.chunk())
        await stream.ended()
        assert not bus._listeners
        whole = b"".join(chunks)
        return [event(part) for part in whole.split(b"\n\n") if part]

    async with backend.running():
        ours = await heard(middleware=False)
        theirs = await heard(middleware=True)

    assert ours == theirs
    assert len(ours) == 4


async def test_wrong_wishes_are_the_sdk_s_to_refuse() -> None:
    backend = PythonBackend("main", MCPServer("listened"))

    async with backend.running():
        endpoint = StreamableHttp(backend, FakeIds())
        exchange = Caller(endpoint).modern("subscriptions/listen", 1, notifications=7)

        assert (await exchange.json())["error"]["code"] == -32602
