import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from breakwater_runtime.calls import Call, Problem, Refused, RpcError
from breakwater_runtime.protocol import streams
from breakwater_runtime.protocol.sessions import SessionLimits
from breakwater_runtime.protocol.streamable_http import StreamableHttp
from tests.unit.runtime.asgi import Caller, Exchange
from tests.unit.runtime.fakes import FakeBackend, FakeIds

LIMITS = SessionLimits(per_principal=3, total=5, replay_bytes=1000, replay_bytes_total=2000)


@pytest.fixture
def endpoint(backend: FakeBackend) -> StreamableHttp:
    return StreamableHttp(backend, FakeIds(), lambda: LIMITS)


@pytest.fixture
def caller(endpoint: StreamableHttp) -> Caller:
    return Caller(endpoint)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("breakwater_runtime.protocol.ticker.TICK_SECONDS", 0.01)
    monkeypatch.setattr(streams, "RESUME_SECONDS", 0.05)


async def session_of(caller: Caller) -> str:
    session = await caller.initialize(sampling={})
    assert session is not None
    return session


async def refusal(exchange: Exchange) -> Problem:
    with pytest.raises(Refused) as refused:
        await exchange.ended()
    return refused.value.problem


# Without a session


async def test_a_session_is_given_where_the_backend_wants_one(caller: Caller) -> None:
    assert await caller.initialize() is None
    assert await caller.initialize(sampling={}) == "s-1"


async def test_no_session_is_given_where_any_of_several_replicas_may_answer(
    backend: FakeBackend,
) -> None:
    caller = Caller(StreamableHttp(backend, FakeIds(), gives_sessions=lambda: False))

    assert await caller.initialize(sampling={}) is None


async def test_a_handshake_that_fails_gives_no_session(
    caller: Caller, backend: FakeBackend
) -> None:
    async def fail(call: Call) -> bytes:
        raise RpcError(-32602, "no")

    backend.work = fail

    assert await caller.initialize(sampling={}) is None
    assert [peer.closed.is_set() for peer in backend.peers] == [True]


@pytest.mark.parametrize(
    ("header", "version"), [(None, "2025-03-26"), ("2025-06-18", "2025-06-18")]
)
async def test_the_header_says_the_version(
    caller: Caller, backend: FakeBackend, header: str | None, version: str
) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}

    await caller.post(message, mcp_protocol_version=header).json()

    assert backend.bodies[0].version == version


async def test_without_a_session_nothing_can_be_asked(caller: Caller, backend: FakeBackend) -> None:
    async def work(call: Call) -> bytes:
        assert not call.channel.can_ask
        await call.channel.ask("sampling/createMessage", {}, None)
        return b"{}"

    backend.work = work

    assert (await caller.older("tools/call").json())["error"]["code"] == -32600


async def test_errors_have_status_200(caller: Caller, backend: FakeBackend) -> None:
    async def fail(call: Call) -> bytes:
        raise RpcError(-32601, "no")

    backend.work = fail
    exchange = caller.older("made/up")

    assert (await exchange.json())["error"]["code"] == -32601
    assert exchange.status == 200


# Batches


def request(number: int, method: str = "tools/list", **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


async def test_a_batch_is_answered_message_by_message(caller: Caller, backend: FakeBackend) -> None:
    async def work(call: Call) -> bytes:
        if call.method == "bad":
            raise RpcError(-32601, "no")
        if call.method == "denied":
            raise Refused(Problem.DENIED_BY_POLICY)
        return str(call.id).encode()

    backend.work = work
    note = {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}
    exchange = caller.post([request(1), note, request(2, "bad"), request(3, "denied"), request(4)])

    answers = await exchange.json()

    assert [each.get("result") for each in answers] == [1, None, None, 4]
    assert [each.get("error", {}).get("code") for each in answers] == [None, -32601, -32600, None]
    assert answers[2]["error"]["data"]["code"] == "DENIED_BY_POLICY"
    assert len(backend.bodies) == 5


async def test_a_batch_without_requests_is_accepted(caller: Caller) -> None:
    exchange = caller.post([{"jsonrpc": "2.0", "method": "notifications/initialized"}])
    await exchange.ended()

    assert exchange.status == 202


@pytest.mark.parametrize(
    ("batch", "header"),
    [
        pytest.param([], None, id="empty"),
        pytest.param([request(1), 7], None, id="number"),
        pytest.param([request(1, "initialize")], None, id="initialize"),
        pytest.param([request(1)] * 101, None, id="too-many"),
        pytest.param([request(1)], "2025-06-18", id="later-revision"),
    ],
)
async def test_other_batches_are_refused(
    caller: Caller, backend: FakeBackend, batch: list[Any], header: str | None
) -> None:
    problem = await refusal(caller.post(batch, mcp_protocol_version=header))

    assert (problem, backend.bodies) == (Problem.INVALID_MESSAGE, [])


async def test_a_batch_may_become_a_stream(caller: Caller, backend: FakeBackend) -> None:
    async def work(call: Call) -> bytes:
        await call.channel.notify("notifications/message", {"of": call.id})
        return str(call.id).encode()

    backend.work = work
    exchange = caller.post([request(1), request(2)])
    await exchange.ended()

    heard = [(await exchange.event())["params"]["of"] for _ in range(2)]
    last = await exchange.chunk()
    assert heard == [1, 2]
    assert last.count(b"event: message") == 2


# Questions


async def test_a_question_goes_out_on_the_stream_of_its_call(
    caller: Caller, backend: FakeBackend
) -> None:
    async def work(call: Call) -> bytes:
        answer = await call.channel.ask("sampling/createMessage", {"a": 1}, None)
        return str(answer["number"]).encode()

    session = await session_of(caller)
    backend.work = work
    exchange = caller.older("tools/call", 1, session)
    assert (await exchange.event())["event_id"] == "0-0"  # the one to come back with
    question = await exchange.event()
    answer = {"jsonrpc": "2.0", "id": str(question["id"]), "result": {"number": 7}}
    await caller.post(answer, session).ended()

    assert question["method"] == "sampling/createMessage"
    assert (await exchange.event())["result"] == 7


async def test_an_answer_that_is_an_error_is_raised(caller: Caller, backend: FakeBackend) -> None:
    async def work(call: Call) -> bytes:
        await call.channel.ask("roots/list", None, None)
        return b"{}"

    session = await session_of(caller)
    backend.work = work
    exchange = caller.older("tools/call", 1, session)
    await exchange.event()
    question = await exchange.event()
    error = {"code": -1, "message": "the user said no"}
    await caller.post({"jsonrpc": "2.0", "id": question["id"], "error": error}, session).ended()

    assert (await exchange.event())["error"] == error


async def test_a_question_nobody_answers_is_taken_back(
    caller: Caller, backend: FakeBackend
) -> None:
    async def work(call: Call) -> bytes:
        await call.channel.ask("roots/list", None, 0.01)
        return b"{}"

    session = await session_of(caller)
    backend.work = work
    exchange = caller.older("tools/call", 1, session)
    messages = [await exchange.event() for _ in range(4)]

    assert [each.get("method") for each in messages[1:3]] == [
        "roots/list",
        "notifications/cancelled",
    ]
    assert messages[3]["error"]["code"] == -32001


async def test_outside_of_calls_the_client_is_reached_by_its_get(
    caller: Caller, backend: FakeBackend
) -> None:
    session = await session_of(caller)
    (channel,) = backend.channels
    with pytest.raises(RpcError):
        await channel.ask("roots/list", None, None)
    await channel.notify("lost", None)

    stream = caller.send("GET", mcp_session_id=session)
    await asyncio.sleep(0)
    await channel.notify("notifications/tools/list_changed", None)
    asked = asyncio.ensure_future(channel.ask("roots/list", None, None))

    assert (await stream.event())["method"] == "notifications/tools/list_changed"
    question = await stream.event()
    assert await refusal(caller.send("GET", mcp_session_id=session)) is Problem.STREAM_TAKEN
    await caller.post({"jsonrpc": "2.0", "id": question["id"], "result": {"a": 1}}, session).ended()
    assert await asked == {"a": 1}


async def test_streams_outside_of_calls_end_well(
    endpoint: StreamableHttp, caller: Caller, backend: FakeBackend
) -> None:
    stream = caller.send("GET", mcp_session_id=await session_of(caller))
    await asyncio.sleep(0)

    endpoint.end_streams()
    await stream.ended()

    assert (stream.complete, backend.streams_ended) == (True, 1)


# Cancellation


def blocking(begun: asyncio.Event, cancelled: list[object]) -> Callable[[Call], Any]:
    async def work(call: Call) -> bytes:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(call.id)
            raise
        return b"{}"

    return work


@pytest.mark.parametrize(
    ("ids", "named", "stopped"),
    [
        pytest.param([1], 1, [1], id="the-one"),
        pytest.param([1], "1", [], id="another-type"),
        pytest.param([1, 2], 2, [2], id="one-of-two"),
        pytest.param([1, 1], 1, [], id="nobody-knows-which"),
        pytest.param([1], [1], [], id="no-id"),
    ],
)
async def test_a_call_is_cancelled_within_its_session(
    caller: Caller, backend: FakeBackend, ids: list[int], named: object, stopped: list[int]
) -> None:
    session, begun, cancelled = await session_of(caller), asyncio.Event(), list[object]()
    backend.work = blocking(begun, cancelled)
    exchanges = [caller.older("tools/call", each, session) for each in ids]
    await begun.wait()

    await caller.older("notifications/cancelled", None, session, requestId=named).ended()
    await asyncio.sleep(0.01)

    assert cancelled == stopped
    assert [each.complete for each in exchanges] == [each in stopped for each in ids]
    for each in exchanges:
        each.disconnect()


async def test_nobody_cancels_from_outside_of_the_session(
    caller: Caller, backend: FakeBackend
) -> None:
    session, begun, cancelled = await session_of(caller), asyncio.Event(), list[object]()
    other = await session_of(caller)
    backend.work = blocking(begun, cancelled)
    exchange = caller.older("tools/call", 1, session)
    await begun.wait()

    for elsewhere in (other, None):
        await caller.older("notifications/cancelled", None, elsewhere, requestId=1).ended()
    await asyncio.sleep(0.01)

    assert cancelled == []
    exchange.disconnect()
    await exchange.ended()


# Lost connections


async def test_a_client_comes_back_for_the_rest(caller: Caller, backend: FakeBackend) -> None:
    go_on = asyncio.Event()

    async def work(call: Call) -> bytes:
        await call.channel.notify("first", None)
        await go_on.wait()
        await call.channel.notify("second", None)
        return b'"done"'

    session = await session_of(caller)
    backend.work = work
    lost = caller.older("tools/call", 1, session)
    primed, first = await lost.event(), await lost.event()
    lost.disconnect()
    await asyncio.sleep(0.01)
    go_on.set()
    await lost.ended()

    back = caller.send("GET", mcp_session_id=session, last_event_id=first["event_id"])
    assert [(await back.event()).get(key) for key in ("method", "result")] == ["second", "done"]
    await back.ended()
    again = caller.send("GET", mcp_session_id=session, last_event_id=primed["event_id"])
    assert (await again.event())["method"] == "first"


async def test_a_tool_may_send_its_client_away_for_a_while(
    caller: Caller, backend: FakeBackend
) -> None:
    go_on = asyncio.Event()

    async def work(call: Call) -> bytes:
        await call.channel.close_stream()
        await go_on.wait()
        return b'"done"'

    session = await session_of(caller)
    backend.work = work
    first = caller.older("tools/call", 1, session)
    primed = await first.chunk()
    assert b"retry: 1000" in primed
    assert await first.chunk() == b""
    assert first.complete
    back = caller.send("GET", mcp_session_id=session, last_event_id="0-0")
    await asyncio.sleep(0.01)
    go_on.set()

    assert (await back.event())["result"] == "done"


@pytest.mark.usefixtures("hurried")
async def test_a_call_nobody_comes_back_for_is_cancelled(
    caller: Caller, backend: FakeBackend
) -> None:
    cancelled = asyncio.Event()

    async def work(call: Call) -> bytes:
        await call.channel.notify("first", None)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return b"{}"

    session = await session_of(caller)
    backend.work = work
    lost = caller.older("tools/call", 1, session)
    await lost.event()
    lost.disconnect()

    async with asyncio.timeout(5):
        await cancelled.wait()
    await lost.ended()
    gone = caller.send("GET", mcp_session_id=session, last_event_id="0-0")
    assert await refusal(gone) is Problem.INVALID_MESSAGE


async def test_what_is_kept_for_those_who_come_back_is_bounded(
    caller: Caller, backend: FakeBackend
) -> None:
    async def work(call: Call) -> bytes:
        for number in range(100):
            await call.channel.notify("said", {"number": number, "filling": "x" * 100})
        return b"{}"

    session = await session_of(caller)
    backend.work = work
    exchange = caller.older("tools/call", 1, session)
    await exchange.event()
    await exchange.ended()

    back = caller.send("GET", mcp_session_id=session, last_event_id="0-0")
    await back.ended()
    assert (await back.event())["params"]["number"] > 90


# Whose session, and for how long


async def test_a_session_belongs_to_who_began_it(
    endpoint: StreamableHttp, caller: Caller, backend: FakeBackend
) -> None:
    session = await session_of(caller)
    mallory, asked = Caller(endpoint, "mallory"), len(backend.bodies)

    for theft in (
        mallory.older("tools/list", 1, session),
        mallory.older("notifications/cancelled", None, session, requestId=1),
        mallory.send("GET", mcp_session_id=session),
        mallory.send("DELETE", mcp_session_id=session),
        caller.older("tools/list", 1, "made-up"),
    ):
        assert await refusal(theft) is Problem.SESSION_NOT_FOUND
    assert len(backend.bodies) == asked


async def test_delete_ends_a_session_and_what_runs_in_it(
    caller: Caller, backend: FakeBackend
) -> None:
    session, begun, cancelled = await session_of(caller), asyncio.Event(), list[object]()
    backend.work = blocking(begun, cancelled)
    call, stream = caller.older("x", 1, session), caller.send("GET", mcp_session_id=session)
    await begun.wait()

    deleted = caller.send("DELETE", mcp_session_id=session)
    for each in (deleted, call, stream):
        await each.ended()

    assert (deleted.status, cancelled) == (200, [1])
    assert [peer.closed.is_set() for peer in backend.peers] == [True]
    assert await refusal(caller.older("x", 1, session)) is Problem.SESSION_NOT_FOUND


async def test_beyond_the_limit_the_idlest_session_goes(
    endpoint: StreamableHttp, caller: Caller
) -> None:
    first, second, third = [await session_of(caller) for _ in range(3)]
    await caller.older("tools/list", 1, first).ended()
    await session_of(caller)

    await caller.older("tools/list", 1, first).ended()
    await caller.older("tools/list", 1, third).ended()
    assert await refusal(caller.older("tools/list", 1, second)) is Problem.SESSION_NOT_FOUND


async def test_sessions_in_use_stay_and_no_more_are_given(
    caller: Caller, backend: FakeBackend
) -> None:
    sessions = [await session_of(caller) for _ in range(3)]
    open_ones = [caller.send("GET", mcp_session_id=each) for each in sessions]
    await asyncio.sleep(0.01)

    one_more = caller.older("initialize", capabilities={"sampling": {}})

    assert await refusal(one_more) is Problem.TOO_MANY_SESSIONS
    for each in open_ones:
        each.disconnect()
        await each.ended()


@pytest.mark.usefixtures("hurried")
async def test_a_session_nobody_uses_ends(backend: FakeBackend) -> None:
    caller = Caller(StreamableHttp(backend, FakeIds(), lambda: SessionLimits(idle_seconds=0.05)))
    session = await session_of(caller)

    async with asyncio.timeout(5):
        await backend.peers[0].closed.wait()

    assert await refusal(caller.older("x", 1, session)) is Problem.SESSION_NOT_FOUND


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_without_a_session_there_is_nothing_but_post(caller: Caller, method: str) -> None:
    assert await refusal(caller.send(method)) is Problem.METHOD_NOT_ALLOWED
