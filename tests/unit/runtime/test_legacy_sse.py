"""HTTP+SSE: the stream, where to post, and what both end with."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from breakwater_contract.access import Access, Policy
from breakwater_runtime.app import Process
from breakwater_runtime.calls import Call, RpcError
from breakwater_runtime.protocol import ticker
from breakwater_runtime.protocol.sessions import SessionLimits
from tests.unit.runtime.asgi import MODERN, Door, Exchange, event
from tests.unit.runtime.fakes import FakeBackend

VERSION = "io.modelcontextprotocol/protocolVersion"
META = {
    VERSION: MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
ENDPOINT = "event: endpoint\ndata: "


@pytest.fixture
def access() -> Access:
    deny = Policy(name="no-secrets", effect="Deny", principals=("*",), tools=("secret",))
    allow = Policy(name="all", effect="Allow", principals=("*",), tools=("*",), prompts=("*",))
    return Access(policies=(deny, allow))


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticker, "TICK_SECONDS", 0.01)


class Client:
    """One client of the transport."""

    def __init__(self, door: Door, stream: Exchange, url: str) -> None:
        self._door = door
        self.stream = stream
        self.url = url

    def post(self, content: Any, **headers: str | None) -> Exchange:
        return self._door(self.url, **headers).post(content)

    def ask(self, message_id: Any, method: str, **params: Any) -> Exchange:
        return self.post({"jsonrpc": "2.0", "id": message_id, "method": method, "params": params})

    def note(self, method: str, **params: Any) -> Exchange:
        return self.post({"jsonrpc": "2.0", "method": method, "params": params})

    async def hears(self) -> dict[str, Any]:
        return event(await self.stream.chunk())

    async def answer_to(self, message_id: Any, method: str, **params: Any) -> dict[str, Any]:
        self.ask(message_id, method, **params)
        return await self.hears()

    async def ended(self) -> None:
        while await self.stream.chunk():
            pass
        await self.stream.ended()


Open = Callable[[], Any]


@pytest.fixture
def connect(door: Door) -> Open:
    async def opened() -> Client:
        stream = door("/mcp/sse", accept="text/event-stream").send("GET")
        said = (await stream.chunk()).decode()
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream")
        assert said.startswith(ENDPOINT)
        assert said.endswith("\n\n")
        return Client(door, stream, said.removeprefix(ENDPOINT).strip())

    return opened


@pytest.mark.requirement("A1", "K1")
async def test_answers_come_over_the_stream(connect: Open, backend: FakeBackend) -> None:
    client = await connect()

    posted = client.ask(7, "tools/list")
    answer = await client.hears()
    await posted.ended()

    assert client.url.startswith("/mcp/messages?session_id=")
    assert (posted.status, await posted.chunk()) == (202, b"")
    assert answer == {"jsonrpc": "2.0", "id": 7, "result": {"tools": []}}
    assert backend.bodies[0].principal.name == "alice"


async def test_the_handshake_begins_a_session_of_its_version(
    connect: Open, backend: FakeBackend
) -> None:
    client = await connect()

    await client.answer_to(1, "initialize", protocolVersion="2025-11-25", capabilities={})
    await client.answer_to(2, "tools/list")
    await client.answer_to(3, "tools/list", _meta=META)

    assert [call.version for call in backend.bodies] == ["2025-03-26", "2025-11-25", MODERN]
    assert [call.peer is not None for call in backend.bodies] == [True, True, False]
    assert len(backend.peers) == 1


async def test_a_tool_can_report_and_ask_and_others_are_served_meanwhile(
    connect: Open, backend: FakeBackend
) -> None:
    async def work(call: Call) -> bytes:
        if call.method != "tools/call":
            return b'{"protocolVersion": "2025-11-25"}'
        await call.channel.notify("notifications/progress", {"progress": 1})
        answer = await call.channel.ask("elicitation/create", {"message": "Who?"}, None)
        return orjson.dumps(answer)

    backend.work = work
    client = await connect()
    await client.answer_to(1, "initialize")

    client.ask(2, "tools/call", name="echo")
    assert (await client.hears())["method"] == "notifications/progress"
    question = await client.hears()
    assert (await client.answer_to(3, "ping"))["id"] == 3
    client.post({"jsonrpc": "2.0", "id": question["id"], "result": {"name": "Ada"}})

    assert question["method"] == "elicitation/create"
    assert await client.hears() == {"jsonrpc": "2.0", "id": 2, "result": {"name": "Ada"}}


async def test_today_s_era_has_no_questions(connect: Open, backend: FakeBackend) -> None:
    async def work(call: Call) -> bytes:
        assert not call.channel.can_ask
        return orjson.dumps(await call.channel.ask("roots/list", {}, None))

    backend.work = work
    client = await connect()

    assert (await client.answer_to(1, "tools/call", _meta=META))["error"]["code"] == -32600


@pytest.mark.parametrize(
    ("method", "params", "code", "said"),
    [
        pytest.param("tools/call", {"name": "secret"}, -32600, "DENIED_BY_POLICY", id="denied"),
        pytest.param("bad", {}, -32601, None, id="error"),
        pytest.param("tools/list", {"_meta": META | {VERSION: "2031"}}, -32022, None, id="v"),
        pytest.param("tools/list", {"_meta": {VERSION: MODERN}}, -32602, None, id="half"),
    ],
)
async def test_errors_come_over_the_stream(
    connect: Open,
    backend: FakeBackend,
    method: str,
    params: dict[str, Any],
    code: int,
    said: str | None,
) -> None:
    async def work(_: Call) -> bytes:
        raise RpcError(-32601, "no")

    backend.work = work
    client = await connect()

    answer = await client.answer_to("a", method, **params)

    assert (answer["id"], answer["error"]["code"]) == ("a", code)
    assert ((answer["error"].get("data") or {}).get("code")) == said


@pytest.mark.requirement("A4")
async def test_a_cancelled_call_ends_without_an_answer_and_the_others_go_on(
    connect: Open, backend: FakeBackend
) -> None:
    running = asyncio.Semaphore(0)

    async def work(_: Call) -> bytes:
        running.release()
        await asyncio.Event().wait()
        return b""

    backend.work = work
    client = await connect()
    posted = client.ask(1, "tools/call", name="echo")
    others = [client.ask(2, "tools/call", name="echo") for _ in range(2)]
    async with asyncio.timeout(5):
        for _ in range(3):
            await running.acquire()

    await client.note("notifications/cancelled", requestId=[1]).ended()
    await client.note("notifications/cancelled", requestId=1).ended()
    await client.note("notifications/cancelled", requestId=2).ended()
    await posted.ended()

    assert not any(other.task.done() for other in others)  # nobody knows which of two is meant
    client.stream.disconnect()
    for other in others:
        await other.ended()


@pytest.mark.requirement("A4", "K5")
async def test_a_client_that_goes_away_takes_everything_along(
    connect: Open, backend: FakeBackend
) -> None:
    running, cancelled = asyncio.Event(), asyncio.Event()

    async def work(call: Call) -> bytes:
        if call.method == "initialize":
            return b'{"protocolVersion": "2025-11-25"}'
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return b""

    backend.work = work
    client = await connect()
    await client.answer_to(1, "initialize")
    call = client.ask(2, "tools/call", name="echo")
    async with asyncio.timeout(5):
        await running.wait()
        client.stream.disconnect()
        await cancelled.wait()
        await backend.peers[0].closed.wait()
    await call.ended()
    late = client.ask(3, "tools/list")
    await late.ended()

    assert late.status == 404


@pytest.mark.requirement("A1", "G4")
@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", {}),
        ("session_id=made-99", {}),
        ("session_id={id}&session_id={id}", {}),
        ("session_id={id}", {"x_api_key": "bobs-key-0123456789"}),
    ],
)
async def test_a_session_is_its_principal_s_and_nobody_else_s(
    connect: Open,
    door: Door,
    process: Process,
    keys: Any,
    query: str,
    headers: dict[str, str | None],
) -> None:
    (keys / "bob").write_text("bobs-key-0123456789")
    process.live.load()
    client = await connect()
    session = client.url.partition("=")[2]

    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    url = f"/mcp/messages?{query.format(id=session)}"
    exchange = door(url, **headers).post(message)
    answer = await exchange.json()

    assert (exchange.status, answer["error"]["data"]["code"]) == (404, "SESSION_NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "url", "headers", "body", "status"),
    [
        ("GET", "/mcp/sse", {"accept": "application/json"}, b"", 406),
        ("POST", "/mcp/sse", {}, b"", 405),
        ("GET", "{}", {}, b"", 405),
        ("POST", "{}", {"content_type": "text/plain"}, b"{}", 415),
        ("POST", "{}", {}, b"{", 400),
        ("POST", "{}", {}, b"[]", 400),
        ("POST", "{}", {}, b'{"jsonrpc":"2.0","id":null,"method":"x"}', 400),
        ("GET", "/mcp/sse", {"x_api_key": "wrong"}, b"", 401),
        ("POST", "{}", {"x_api_key": "wrong"}, b"{}", 401),
    ],
)
async def test_what_is_not_understood_is_refused(
    connect: Open,
    door: Door,
    method: str,
    url: str,
    headers: dict[str, str | None],
    body: bytes,
    status: int,
) -> None:
    client = await connect()

    exchange = door(url.format(client.url), **headers).send(method, body)
    answer = await exchange.json()

    assert exchange.status == status
    assert ("jsonrpc" in answer) == (url == "{}")  # where JSON-RPC is spoken


@pytest.mark.requirement("T5")
@pytest.mark.usefixtures("hurried")
async def test_a_silent_stream_is_kept_alive(connect: Open, process: Process) -> None:
    object.__setattr__(process.live.loaded.wire, "heartbeat_seconds", 0.02)
    client = await connect()

    assert [await client.stream.chunk() for _ in range(2)] == [b": \n\n"] * 2


async def test_listening_is_told_of_changes_and_ends_with_a_result(
    connect: Open, process: Process, backend: FakeBackend
) -> None:
    backend.listening = True
    client = await connect()
    posted = client.ask(5, "subscriptions/listen", _meta=META)
    await posted.ended()  # it holds no place among the requests

    backend.ears[0]("notifications/tools/list_changed", None)
    assert (await client.hears())["method"] == "notifications/tools/list_changed"
    process.drain.end_streams()

    assert await client.hears() == {"jsonrpc": "2.0", "id": 5, "result": {"ended": True}}
    await client.ended()
    assert backend.ears == []


async def test_a_client_listens_so_often_and_no_more(connect: Open, backend: FakeBackend) -> None:
    backend.listening = True
    client = await connect()
    for number in range(16):
        await client.ask(number, "subscriptions/listen", _meta=META).ended()

    answer = await client.answer_to(99, "subscriptions/listen", _meta=META)

    assert (answer["id"], answer["error"]["code"]) == (99, -32600)


@pytest.mark.requirement("T17")
async def test_a_drain_lets_calls_finish_and_then_ends_the_stream(
    connect: Open, process: Process, backend: FakeBackend
) -> None:
    running, may_end = asyncio.Event(), asyncio.Event()

    async def work(_: Call) -> bytes:
        running.set()
        await may_end.wait()
        return b"{}"

    backend.work = work
    client = await connect()
    client.ask(1, "tools/call", name="echo")
    async with asyncio.timeout(5):
        await running.wait()

    process.drain.end_streams()
    late = client.ask(2, "tools/list")
    await late.ended()
    may_end.set()

    assert late.status == 404
    assert (await client.hears())["id"] == 1
    assert await client.stream.chunk() == b""
    await client.stream.ended()
    assert client.stream.complete


@pytest.mark.requirement("K6")
@pytest.mark.usefixtures("hurried")
async def test_open_streams_end_well_once_their_endpoint_is_closed(
    connect: Open, process: Process
) -> None:
    client = await connect()

    object.__setattr__(process.live.loaded, "endpoints", frozenset({"StreamableHTTP"}))
    await client.ended()

    assert client.stream.complete


@pytest.mark.requirement("K2", "G4")
@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("limits", [{"idle_seconds": 0.05}, {"lifetime_seconds": 0.05}])
async def test_a_session_ends_that_nobody_uses_or_whose_time_is_over(
    connect: Open, process: Process, limits: dict[str, Any]
) -> None:
    object.__setattr__(process.live.loaded, "session_limits", SessionLimits(**limits))
    client = await connect()

    await client.ended()

    assert client.stream.complete


@pytest.mark.requirement("K2")
async def test_a_principal_has_so_many_sessions_and_no_more(
    connect: Open, door: Door, process: Process
) -> None:
    object.__setattr__(process.live.loaded, "session_limits", SessionLimits(per_principal=2))
    first, second = [await connect() for _ in range(2)]

    exchange = door("/mcp/sse").send("GET")
    answer = await exchange.json()
    first.stream.disconnect()
    await first.stream.ended()
    await connect()

    assert (exchange.status, answer["error"]["code"]) == (503, "TOO_MANY_SESSIONS")
    assert exchange.headers["retry-after"] == "5"
    assert (await second.answer_to(1, "tools/list"))["id"] == 1
    assert process.metrics.registry.get_sample_value("mcp_sessions") == 2


@pytest.mark.requirement("T17")
async def test_a_draining_replica_begins_no_session(door: Door, process: Process) -> None:
    process.drain.begin()

    exchange = door("/mcp/sse").send("GET")
    answer = await exchange.json()

    assert (exchange.status, answer["error"]["code"]) == (503, "SHUTTING_DOWN")
    assert exchange.headers["retry-after"] == "1"


@pytest.mark.requirement("T8")
async def test_sessions_are_recorded(connect: Open, process: Process) -> None:
    client = await connect()
    client.stream.disconnect()
    await client.stream.ended()

    sample = process.metrics.registry.get_sample_value
    assert sample("mcp_security_events_total", {"event": "session.started"}) == 1
    assert sample("mcp_security_events_total", {"event": "session.ended"}) == 1
