import base64
from typing import Any

import orjson
import pytest

from breakwater_runtime.calls import Call, Refused, RpcError
from breakwater_runtime.protocol.streamable_http import StreamableHttp
from tests.unit.runtime.asgi import MODERN, Caller
from tests.unit.runtime.fakes import FakeBackend, FakeIds

VERSION = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
META = {VERSION: MODERN, CAPABILITIES: {}}
HEADERS: dict[str, str | None] = {
    "mcp_protocol_version": MODERN,
    "mcp_method": "tools/call",
    "mcp_name": "echo",
}


@pytest.fixture
def caller(backend: FakeBackend) -> Caller:
    return Caller(StreamableHttp(backend, FakeIds()))


def call(**changes: Any) -> dict[str, Any]:
    params = {"name": "echo", "arguments": {}, "_meta": META}
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params} | changes


@pytest.mark.parametrize(
    ("headers", "message", "status", "code"),
    [
        pytest.param({}, call(), 200, None, id="all-agree"),
        pytest.param({"mcp_method": "tools/list"}, call(), 400, -32020, id="method"),
        pytest.param({"mcp_method": None}, call(), 400, -32020, id="no-method"),
        pytest.param({"mcp_name": "other"}, call(), 400, -32020, id="name"),
        pytest.param({"mcp_name": None}, call(), 400, -32020, id="no-name"),
        pytest.param({"mcp_name": "=?base64?ZWNobw==?="}, call(), 200, None, id="encoded-name"),
        pytest.param({"mcp_name": "=?base64?ZWNobx==?="}, call(), 400, -32020, id="not-canonical"),
        pytest.param({"mcp_name": "=?base64?*?="}, call(), 400, -32020, id="not-base64"),
        pytest.param({"mcp_name": "=?base64?/w==?="}, call(), 400, -32020, id="not-utf-8"),
        pytest.param({"mcp_param_bad": "yes"}, call(), 400, -32020, id="parameter"),
        pytest.param({"mcp_protocol_version": "2025-11-25"}, call(), 400, -32020, id="older"),
        pytest.param({"mcp_protocol_version": None}, call(), 400, -32020, id="no-version"),
        pytest.param({"mcp_protocol_version": "2031-01-01"}, call(), 400, -32020, id="newer"),
        pytest.param(
            {"mcp_protocol_version": "2031-01-01"},
            call(params={"name": "echo", "_meta": META | {VERSION: "2031-01-01"}}),
            400,
            -32022,
            id="unknown-version",
        ),
        pytest.param({}, call(params={"name": "echo"}), 400, -32602, id="no-meta"),
        pytest.param({}, call(params=None), 400, -32602, id="no-params"),
        pytest.param(
            {}, call(params={"name": "echo", "_meta": {VERSION: MODERN}}), 400, -32602, id="half"
        ),
        pytest.param(
            {},
            call(params={"name": "echo", "_meta": META | {VERSION: 9007199254740993}}),
            *(400, -32602),
            id="version-that-is-no-text",
        ),
        pytest.param({}, call(params=[]), 400, -32600, id="list-of-params"),
        pytest.param({}, call(id=None), 400, -32600, id="id-null"),
        pytest.param({}, call(id=2**53), 400, -32600, id="id-too-large"),
        pytest.param({}, call(jsonrpc="1.0"), 400, -32600, id="another-json-rpc"),
        pytest.param({}, {"jsonrpc": "2.0", "id": 7, "result": {}}, 400, -32600, id="answer"),
        pytest.param({}, [call()], 400, -32600, id="batch"),
    ],
)
async def test_headers_and_body_must_agree(
    caller: Caller,
    headers: dict[str, str | None],
    message: Any,
    status: int,
    code: int | None,
) -> None:
    given = HEADERS | headers

    exchange = caller.post(message, **given)
    try:
        answer = await exchange.json()
    except Refused as refusal:  # which the errors step in front would answer
        problem = refusal.problem.value
        assert (problem.status, problem.rpc_code) == (status, code)
        return

    assert (exchange.status, answer.get("error", {}).get("code")) == (status, code)
    assert answer["id"] == 7


async def test_an_unknown_version_is_told_the_known_ones(caller: Caller) -> None:
    params = {"_meta": META | {VERSION: "2031-01-01"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params}

    exchange = caller.post(message, mcp_protocol_version="2031-01-01", mcp_method="tools/list")
    data = (await exchange.json())["error"]["data"]

    assert data == {"supported": [MODERN], "requested": "2031-01-01"}


@pytest.mark.parametrize(
    ("code", "status"),
    [(-32601, 404), (-32602, 400), (-32021, 400), (-32603, 200), (-32042, 200)],
)
async def test_the_status_follows_the_error(
    caller: Caller, backend: FakeBackend, code: int, status: int
) -> None:
    async def fail(call: Call) -> bytes:
        raise RpcError(code, "no", {"a": 1})

    backend.work = fail
    exchange = caller.modern("tools/list")

    answer = await exchange.json()

    assert exchange.status == status
    assert answer == {
        "jsonrpc": "2.0",
        "id": 1,
        "error": {"code": code, "message": "no", "data": {"a": 1}},
    }


async def test_a_notification_is_accepted_and_changes_nothing(
    caller: Caller, backend: FakeBackend
) -> None:
    message = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}

    exchange = caller.post(message, mcp_protocol_version=MODERN)
    await exchange.ended()

    assert (exchange.status, await exchange.chunk(), backend.bodies) == (202, b"", [])


async def test_a_name_beyond_ascii_is_compared_decoded(caller: Caller) -> None:
    name = "wetter-zürich"
    header = f"=?base64?{base64.b64encode(name.encode()).decode()}?="
    message = call(params={"name": name, "_meta": META})

    exchange = caller.send("POST", orjson.dumps(message), **HEADERS | {"mcp_name": header})
    await exchange.ended()

    assert exchange.status == 200
