"""What docs/how-to/gateway.md says of its manifest is so."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from breakwater_contract.access import Access
from breakwater_contract.gateway import BackendTools
from breakwater_operator.api.models import McpServer
from tests.unit.runtime.asgi import Door
from tests.unit.runtime.gateways import Server, crm, named, wiki

AGENT = "key-of-the-seventh-agent-0123456789"
PAGE = Path(__file__).parents[3] / "docs/how-to/gateway.md"


@pytest.fixture(scope="module")
def server() -> McpServer:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    manifest = yaml.safe_load(block)
    manifest["metadata"] |= {"namespace": "docs", "uid": "1"}
    return McpServer.parse(manifest)


@pytest.fixture
def away() -> Server:
    return crm()


@pytest.fixture
def backends(away: Server) -> Sequence[Server]:
    properties = {"text": {"type": "string"}, "space": {"type": "string"}}
    schema = {"type": "object", "properties": properties}
    second = wiki()
    second.has = {**second.has, "tools": [*named("get"), {"name": "search", "inputSchema": schema}]}
    second.schemas["search"] = schema
    return (away, second)


@pytest.fixture
def tools(server: McpServer) -> Sequence[BackendTools]:
    return tuple(it.tools.for_runtime(it.name) for it in server.spec.backends)


@pytest.fixture
def access(server: McpServer) -> Access:
    return server.spec.access.for_runtime(None)


@pytest.fixture
def keys(keys: Path) -> Path:
    """Add a principal that the page speaks of."""
    (keys / "agent-7").write_text(AGENT)
    return keys


async def asked(door: Door, method: str, /, **params: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await door("/mcp").modern(method, **params).json()
    return answer


async def used(door: Door, name: str, /, **arguments: Any) -> dict[str, Any]:
    return await asked(door, "tools/call", name=name, arguments=arguments)


@pytest.mark.requirement("G1")
async def test_clients_see_the_names_that_the_page_says(door: Door) -> None:
    listed = (await asked(door, "tools/list"))["result"]["tools"]

    names = {tool["name"] for tool in listed}
    (found,) = [tool for tool in listed if tool["name"] == "find"]
    assert names == {
        *("crm_get", "crm_set", "find"),
        *("list_servers", "get_server_tools", "execute_tool"),
    }
    assert found["description"] == "Search the public pages of the wiki."
    assert "space" not in found["inputSchema"]["properties"]


async def test_the_fixed_argument_is_sent_and_cannot_be_chosen(door: Door) -> None:
    said = json.loads((await used(door, "find", text="x"))["result"]["content"][0]["text"])
    refused = (await used(door, "find", text="x", space="secret"))["result"]

    assert (said["tool"], said["arguments"]) == ("search", {"text": "x", "space": "public"})
    assert refused["isError"]
    assert "space cannot be set here; leave it out" in refused["content"][0]["text"]


@pytest.mark.requirement("G2", "G3")
async def test_the_denial_names_the_policy_whichever_way_the_call_came(door: Door) -> None:
    agent = door("/mcp", x_api_key=AGENT)
    by_name = {"server": "crm", "tool": "set", "arguments": {}}

    listed = await agent.modern("tools/list").json()
    refused = [
        await agent.modern("tools/call", name=name, arguments=arguments).json()
        for name, arguments in (("crm_set", {}), ("execute_tool", by_name))
    ]
    allowed = await used(door, "crm_set")

    assert "crm_set" not in {tool["name"] for tool in listed["result"]["tools"]}
    for each in refused:
        data = each["error"]["data"]
        assert (data["code"], data["rule"]) == ("DENIED_BY_POLICY", "only-desk-writes")
    assert "result" in allowed


@pytest.mark.requirement("G6")
async def test_the_others_are_served_while_one_is_away(
    door: Door, management: httpx2.AsyncClient, away: Server
) -> None:
    away.fault = "it is away"

    listed = {tool["name"] for tool in (await asked(door, "tools/list"))["result"]["tools"]}
    servers = (await used(door, "list_servers"))["result"]["structuredContent"]["servers"]

    assert "crm_get" not in listed
    assert "find" in listed
    assert {it["name"]: it["status"] for it in servers} == {"crm": "unavailable", "wiki": "ready"}
    assert (await management.get("/health")).json()["status"] == "degraded"
    assert (await management.get("/ready")).status_code == 200
