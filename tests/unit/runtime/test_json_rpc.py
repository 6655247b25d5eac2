"""`/rpc`: JSON-RPC without a transport of MCP around it."""

import asyncio
from typing import Any

import orjson
import pytest

from breakwater_contract.limits import Limits, Rates
from breakwater_runtime.app import Process
from breakwater_runtime.calls import Call, RpcError
from tests.unit.runtime.asgi import MODERN, Caller, Door
from tests.unit.runtime.fakes import FakeBackend

META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.fixture
def caller(door: Door) -> Caller:
    return door("/rpc", accept="application/json")


def request(message_id: Any = 1, method: str = "tools/list", **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message_id, "method": method, "params": params}


@pytest.mark.requirement("A2")
async def test_a_request_needs_nothing_around_it(caller: Caller, backend: FakeBackend) -> None:
    exchange = caller.post(request(7))

    assert await exchange.json() == {"jsonrpc": "2.0", "id": 7, "result": {}}
    assert (exchange.status, exchange.headers["content-type"]) == (200, "application/json")
    (call,) = backend.bodies
    assert (call.version, call.principal.name) == ("2025-11-25", "alice")


@pytest.mark.parametrize(
    ("header", "meta", "version", "code"),
    [
        pytest.param("2025-06-18", None, "2025-06-18", None, id="header"),
        pytest.param(None, META, MODERN, None, id="meta"),
        pytest.param(MODERN, META, MODERN, None, id="both"),
        pytest.param("2025-06-18", META, None, -32020, id="they-differ"),
        pytest.param(MODERN, None, None, -32602, id="no-meta"),
        pytest.param("2031-01-01", None, None, -32602, id="unknown-header"),
        pytest.param(
            None,
            {**META, "io.modelcontextprotocol/protocolVersion": "2031-01-01"},
            None,
            -32022,
            id="unknown-version",
        ),
    ],
)
async def test_the_version_is_what_the_message_or_else_the_header_says(
    caller: Caller,
    backend: FakeBackend,
    header: str | None,
    meta: dict[str, Any] | None,
    version: str | None,
    code: int | None,
) -> None:
    message = request()
    message["params"] = {} if meta is None else {"_meta": meta}

    answer = await caller.post(message, mcp_protocol_version=header).json()

    assert answer.get("error", {}).get("code") == code
    assert [call.version for call in backend.bodies] == ([version] if version else [])


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"mcp_method": "tools/call", "mcp_name": "echo"}, None),
        ({"mcp_method": "tools/list"}, "HEADER_MISMATCH"),
        ({"mcp_name": "other"}, "HEADER_MISMATCH"),
        ({"mcp_name": "=?base64?*?="}, "HEADER_MISMATCH"),
    ],
)
async def test_headers_that_repeat_the_body_must_not_lie(
    caller: Caller, headers: dict[str, str | None], code: str | None
) -> None:
    answer = await caller.post(request(method="tools/call", name="echo"), **headers).json()

    assert answer.get("error", {}).get("data", {}).get("code") == code


async def test_a_batch_is_answered_message_by_message(caller: Caller, backend: FakeBackend) -> None:
    async def work(call: Call) -> bytes:
        if call.method == "bad":
            raise RpcError(-32601, "no")
        return b"{}"

    backend.work = work
    note = {"jsonrpc": "2.0", "method": "notifications/made-up"}

    answers = await caller.post([request(1), request(1, "bad"), note, request("x")]).json()

    assert [(each["id"], "result" in each) for each in answers] == [
        (1, True),
        (1, False),
        ("x", True),
    ]


@pytest.mark.requirement("T4")
async def test_each_request_of_a_batch_counts_against_the_rate(
    caller: Caller, process: Process
) -> None:
    object.__setattr__(
        process.live.loaded, "limits", Limits(requests_per_minute=Rates(principal=3))
    )

    answers = await caller.post([request(n) for n in range(5)]).json()

    refused = [each["error"]["data"]["code"] for each in answers if "error" in each]
    assert refused == ["RATE_LIMITED"] * 2


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        pytest.param([], 400, "INVALID_MESSAGE", id="empty-batch"),
        pytest.param([request()] * 101, 400, "INVALID_MESSAGE", id="long-batch"),
        pytest.param([request(), 1], 400, "INVALID_MESSAGE", id="batch-with-something-else"),
        pytest.param("x", 400, "INVALID_MESSAGE", id="text"),
        pytest.param({"method": "tools/list", "id": 1}, 400, "INVALID_MESSAGE", id="no-version"),
        pytest.param(request(None), 400, "INVALID_MESSAGE", id="null-id"),
        pytest.param(
            {"jsonrpc": "2.0", "id": 1, "result": {}}, 400, "INVALID_MESSAGE", id="answer"
        ),
        pytest.param({**request(), "params": [1]}, 400, "INVALID_MESSAGE", id="list-of-params"),
    ],
)
async def test_what_is_no_request_is_refused(
    caller: Caller, content: Any, status: int, code: str
) -> None:
    exchange = caller.post(content)
    answer = await exchange.json()

    assert (exchange.status, answer["error"]["data"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"content_type": "text/plain"}, 415),
        ("POST", {"accept": "text/event-stream"}, 406),
        ("GET", {}, 405),
        ("DELETE", {}, 405),
        ("POST", {"x_api_key": "wrong"}, 401),
    ],
)
async def test_refusals_are_json_rpc(
    caller: Caller, method: str, headers: dict[str, str | None], status: int
) -> None:
    exchange = caller.send(method, orjson.dumps(request(7)), **headers)
    answer = await exchange.json()

    assert (exchange.status, answer["jsonrpc"]) == (status, "2.0")


async def test_a_notification_is_taken_and_not_answered(caller: Caller) -> None:
    exchange = caller.post({"jsonrpc": "2.0", "method": "notifications/made-up"})
    await exchange.ended()

    assert (exchange.status, await exchange.chunk()) == (202, b"")


async def test_what_needs_a_stream_is_served_elsewhere(caller: Caller) -> None:
    exchange = caller.post(request(method="subscriptions/listen", _meta=META))
    answer = await exchange.json()

    assert (exchange.status, answer["error"]["code"]) == (404, -32601)
    assert "/mcp" in answer["error"]["message"]


async def test_who_takes_events_too_hears_what_a_tool_says_and_others_do_not(
    door: Door, backend: FakeBackend
) -> None:
    async def work(call: Call) -> bytes:
        await call.channel.notify("notifications/progress", {"progress": 1})
        return b"{}"

    backend.work = work
    hearing = door("/rpc").post(request())
    deaf = door("/rpc", accept="*/*").post(request())

    assert (await hearing.event())["method"] == "notifications/progress"
    assert (await hearing.event())["result"] == {}
    assert (await deaf.json())["result"] == {}


@pytest.mark.requirement("A4")
async def test_a_client_that_goes_away_cancels_all_that_runs_for_it(
    caller: Caller, backend: FakeBackend
) -> None:
    running, all_cancelled = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def work(_: Call) -> bytes:
        running.release()
        try:
            await asyncio.Event().wait()
        finally:
            all_cancelled.release()
        return b""

    backend.work = work
    exchange = caller.post([request(1), request(2)])
    async with asyncio.timeout(5):
        await running.acquire()
        await running.acquire()
        exchange.disconnect()
        await all_cancelled.acquire()
        await all_cancelled.acquire()
        await exchange.task
