"""`list_servers`, `get_server_tools` and `execute_tool`, and the five errors of a gateway."""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import httpx2
import pytest

from breakwater_contract.access import Access, Policy
from breakwater_contract.gateway import BackendTools
from breakwater_contract.metrics import OPERATION_DURATION
from breakwater_runtime.app import Process
from breakwater_runtime.backends.codec.instance import too_slow, unavailable
from breakwater_runtime.calls import Call
from tests.unit.runtime.asgi import Door
from tests.unit.runtime.gateways import Server, crm, named, wiki

ENDPOINTS = ("StreamableHTTP", "SSE", "JSONRPC", "REST")


@pytest.fixture
def first() -> Server:
    return crm()


@pytest.fixture
def second() -> Server:
    schema = {
        "type": "object",
        "properties": {"text": {"type": "string"}, "space": {"type": "string"}},
        "required": ["text", "space"],
    }
    server = wiki()
    server.has = {**server.has, "tools": [*named("get"), {"name": "search", "inputSchema": schema}]}
    server.schemas["search"] = schema
    return server


@pytest.fixture
def backends(first: Server, second: Server) -> Sequence[Server]:
    return (first, second)


@pytest.fixture
def tools() -> Sequence[BackendTools]:
    override = {"name": "search", "rename": "find", "arguments": {"space": "public"}}
    shown = {"backend": "wiki", "expected": ["search"], "overrides": [override]}
    return (BackendTools.model_validate(shown),)


@pytest.fixture
def access() -> Access:
    rules = [
        {"name": "all", "effect": "Allow", "principals": ["*"], "tools": ["*"]},
        {"name": "no-sets", "effect": "Deny", "principals": ["alice"], "tools": ["set*"]},
        {"name": "no-finds", "effect": "Deny", "principals": ["*"], "tools": ["wiki_x*"]},
    ]
    return Access(policies=tuple(Policy.model_validate(rule) for rule in rules))


async def use(door: Door, name: str, /, *, modern: bool = True, **arguments: Any) -> dict[str, Any]:
    params: dict[str, Any] = {"name": name, "arguments": arguments}
    caller = door("/mcp")
    exchange = (
        caller.modern("tools/call", **params) if modern else caller.older("tools/call", **params)
    )
    answer: dict[str, Any] = await exchange.json()
    return answer


def structured(answer: dict[str, Any]) -> Any:
    return answer["result"]["structuredContent"]


# The three tools


@pytest.mark.requirement("G1")
async def test_servers_are_listed_with_what_the_caller_may_see(door: Door, second: Server) -> None:
    second.fault = "it is away"

    answer = await use(door, "list_servers")

    assert structured(answer) == {
        "servers": [
            {"name": "crm", "status": "ready", "tools": 1},
            {"name": "wiki", "status": "unavailable", "tools": 0},
        ]
    }
    assert json.loads(answer["result"]["content"][0]["text"]) == structured(answer)


@pytest.mark.requirement("G1")
async def test_the_tools_of_a_server_are_those_that_the_caller_may_use(door: Door) -> None:
    all_of_it = structured(await use(door, "get_server_tools", server="crm"))
    chosen = structured(await use(door, "get_server_tools", server="wiki", names=["wiki_find"]))

    assert [tool["name"] for tool in all_of_it["tools"]] == ["crm_get"]  # set is denied
    (found,) = chosen["tools"]
    assert found["inputSchema"] == {
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
    }


@pytest.mark.requirement("G1")
@pytest.mark.parametrize("tool", ["wiki_find", "find"])
async def test_a_tool_is_executed_with_or_without_its_prefix(door: Door, tool: str) -> None:
    answer = await use(
        door, "execute_tool", server="wiki", tool=tool, arguments={"text": "x"}, agent_id="alice"
    )

    assert json.loads(answer["result"]["content"][0]["text"]) == {
        "by": "wiki",
        "tool": "search",
        "arguments": {"text": "x", "space": "public"},
    }


async def test_an_executed_tool_is_observed_as_itself(door: Door, process: Process) -> None:
    await use(door, "execute_tool", server="crm", tool="get")
    await use(door, "list_servers")

    duration = process.metrics.histogram(OPERATION_DURATION)
    seen = {labels[1] for labels in duration._series} - {""}
    assert seen == {"crm_get", "list_servers"}


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        pytest.param("get_server_tools", {}, "server is required", id="missing"),
        pytest.param("get_server_tools", {"server": 1}, "server must be text", id="type"),
        pytest.param("list_servers", {"all": 1}, "all is not known; accepted: agent_id", id="more"),
        pytest.param(
            "execute_tool",
            {"server": "crm", "tool": "get", "arguments": []},
            "arguments must be an object",
            id="arguments",
        ),
        pytest.param(
            "execute_tool",
            {"server": "crm", "tool": "get", "timeout_ms": 0},
            "timeout_ms must be a number from 1 to 600000",
            id="time-out",
        ),
    ],
)
async def test_wrong_arguments_are_told_by_the_result(
    door: Door, tool: str, arguments: dict[str, Any], said: str
) -> None:
    answer = await use(door, tool, **arguments)

    assert answer["result"]["isError"]
    assert said in answer["result"]["content"][0]["text"]


async def test_wrong_arguments_are_told_by_the_status_over_plain_http(door: Door) -> None:
    exchange = door("/tools/get_server_tools").send("POST", b"{}")

    answer = await exchange.json()

    assert exchange.status == 422
    assert answer["error"]["faults"] == [{"path": "/server", "message": "is required"}]


# What is fixed by the settings


@pytest.mark.parametrize("modern", [True, False])
async def test_a_fixed_argument_cannot_be_sent(door: Door, second: Server, modern: bool) -> None:
    answer = await use(door, "wiki_find", modern=modern, text="x", space="secret")

    assert answer["result"]["isError"]
    assert "space cannot be set here" in answer["result"]["content"][0]["text"]
    assert second.bodies == []


async def test_a_renamed_tool_has_no_other_name(door: Door) -> None:
    answer = await use(door, "wiki_search", text="x")

    assert answer["error"]["data"]["code"] == "TOOL_NOT_FOUND"


@pytest.mark.requirement("G1")
@pytest.mark.parametrize(
    ("server", "tool", "named"),
    [
        pytest.param("erp", "get", "list_servers names", id="server"),
        pytest.param("crm", "other", "get_server_tools names", id="tool"),
    ],
)
async def test_what_is_not_there_is_answered_with_who_knows_what_is(
    door: Door, server: str, tool: str, named: str
) -> None:
    answer = await use(door, "execute_tool", server=server, tool=tool)

    assert named in answer["error"]["data"]["hint"]


# The five errors


def denied(_: Server) -> dict[str, Any]:
    return {"tool": "set"}


def away(server: Server) -> dict[str, Any]:
    server.failure = unavailable("crm", "It is gone.", retryable=True)
    return {"tool": "get"}


def missing(_: Server) -> dict[str, Any]:
    return {"tool": "other"}


def other_agent(_: Server) -> dict[str, Any]:
    return {"tool": "get", "agent_id": "bob"}


def slow(server: Server) -> dict[str, Any]:
    server.failure = too_slow("crm", "It took longer than 1 s.")
    return {"tool": "get"}


CONDITIONS = [
    pytest.param(denied, "DENIED_BY_POLICY", 403, -32600, -32001, id="denied"),
    pytest.param(away, "SERVER_UNAVAILABLE", 503, -32603, -32002, id="away"),
    pytest.param(missing, "TOOL_NOT_FOUND", 404, -32602, -32003, id="missing"),
    pytest.param(other_agent, "INVALID_AGENT_ID", 403, -32602, -32004, id="agent"),
    pytest.param(slow, "TIMEOUT", 504, -32603, -32005, id="slow"),
]
FACTS: dict[str, dict[str, Any]] = {
    "DENIED_BY_POLICY": {"rule": "no-sets", "backend": "crm", "tool": "crm_set"},
    "SERVER_UNAVAILABLE": {"backend": "crm", "retryable": True},
    "TOOL_NOT_FOUND": {"server": "crm", "tool": "other"},
    "INVALID_AGENT_ID": {"agentId": "bob", "principal": "alice"},
    "TIMEOUT": {"backend": "crm", "retryable": False},
}


@pytest.mark.requirement("G2")
@pytest.mark.requirement("G3")
@pytest.mark.requirement("W6")
@pytest.mark.parametrize("endpoint", ["mcp-modern", "mcp-older", "batch", "rpc", "rest"])
@pytest.mark.parametrize(("condition", "code", "status", "modern", "older"), CONDITIONS)
async def test_the_five_errors_on_every_endpoint(
    door: Door,
    first: Server,
    endpoint: str,
    condition: Callable[[Server], dict[str, Any]],
    code: str,
    status: int,
    modern: int,
    older: int,
) -> None:
    arguments = {"server": "crm", **condition(first)}
    params = {"name": "execute_tool", "arguments": arguments}
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
    if endpoint == "mcp-modern":
        exchange = door("/mcp").modern("tools/call", 7, **params)
    elif endpoint == "mcp-older":
        exchange = door("/mcp", mcp_protocol_version="2025-11-25").post(message)
    elif endpoint == "batch":
        exchange = door("/mcp", mcp_protocol_version="2025-03-26").post([message])
    elif endpoint == "rpc":
        exchange = door("/rpc").post(message)
    else:
        exchange = door("/tools/execute_tool").send("POST", json.dumps(arguments).encode())

    answer = await exchange.json()

    error = (answer[0] if endpoint == "batch" else answer)["error"]
    data = error if endpoint == "rest" else error["data"]
    assert data["code"] == code
    assert data["hint"]
    assert FACTS[code].items() <= data.items()
    if endpoint == "rest":
        assert exchange.status == status
    else:
        assert error["code"] == (modern if endpoint == "mcp-modern" else older)


async def test_a_tool_that_takes_longer_than_its_caller_waits_is_cancelled(
    door: Door, first: Server
) -> None:
    cancelled: list[str] = []

    async def work(call: Call) -> bytes:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(call.method)
            raise
        return b"{}"

    first.work = work

    answer = await use(door, "execute_tool", server="crm", tool="get", timeout_ms=20)

    assert answer["error"]["data"]["code"] == "TIMEOUT"
    assert cancelled == ["tools/call"]


@pytest.mark.requirement("G2")
async def test_policies_may_name_tools_with_the_prefix_too(door: Door, second: Server) -> None:
    second.tools |= {"xray"}

    answer = await use(door, "wiki_xray")

    assert answer["error"]["data"]["rule"] == "no-finds"


# Health


@pytest.mark.requirement("G6")
@pytest.mark.requirement("W7")
async def test_one_bad_backend_degrades_and_does_not_stop(
    management: httpx2.AsyncClient, first: Server, second: Server
) -> None:
    first.fault = "it is away"

    assert (await management.get("/ready")).status_code == 200
    health = await management.get("/health")
    assert health.status_code == 503
    assert health.json()["status"] == "degraded"
    assert 'mcp_health_check{check="backend crm"} 0.0' in (await management.get("/metrics")).text
    second.fault = "it too"
    assert (await management.get("/ready")).status_code == 503


async def test_what_is_missing_and_what_clashes_is_told(
    management: httpx2.AsyncClient, second: Server
) -> None:
    second.tools = {"get"}

    health = await management.get("/health", headers={"x-api-key": "admin-key-for-tests"})

    (found,) = health.json()["backends"][1]["findings"]
    assert found["reason"] == "BackendToolsMissing"
    assert "it has no tool search; it has get" in found["message"]
