"""Clients that others wrote, which start the runtime and speak over its standard streams."""

import json
from pathlib import Path

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import TextContent

from tests.e2e.test_clients import ALL_TOOLS, INSPECTOR, MODERN, OLDER, TEXT
from tests.support import clients
from tests.support.conformance import fronts
from tests.support.conformance.fronts import Program

pytestmark = pytest.mark.requirement("A1", "K1")


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return fronts.program(tmp_path_factory.mktemp("stdio"))


async def test_the_typescript_sdk_1_lists_and_calls_tools(program: Program) -> None:
    answer = (await clients.run("sdk1.mjs", program.json())).json()

    assert set(answer["tools"]) == ALL_TOOLS
    assert json.loads(answer["read"])["id"] == "7"
    assert (answer["text"], answer["progress"]) == (TEXT, [0, 50, 100])


@pytest.mark.parametrize(
    ("era", "asked"),
    [("legacy", None), ("auto", "Hello, Ada!"), (MODERN, "Hello, Ada!")],
)
async def test_the_typescript_sdk_2_lists_and_calls_tools(
    program: Program, era: str, asked: str | None
) -> None:
    answer = (await clients.run("sdk2.mjs", program.json(), "", era)).json()

    assert set(answer["tools"]) == ALL_TOOLS
    assert json.loads(answer["read"])["id"] == "7"
    assert (answer["text"], answer["progress"]) == (TEXT, [0, 50, 100])
    assert answer["asked"] == asked  # only today's era asks so


@pytest.mark.parametrize(("mode", "version"), [("legacy", OLDER), ("auto", MODERN)])
async def test_the_python_sdk_lists_and_calls_tools(
    program: Program, mode: str, version: str
) -> None:
    command, *arguments = program.command
    server = StdioServerParameters(
        command=command, args=arguments, env=dict(program.environment), cwd=Path.cwd()
    )

    async with Client(stdio_client(server), mode=mode) as client:
        negotiated = client.protocol_version
        tools = await client.list_tools()
        called = await client.call_tool("test_simple_text")

    assert negotiated == version
    assert {tool.name for tool in tools.tools} == ALL_TOOLS
    assert called.content == [TextContent(type="text", text=TEXT)]


async def test_the_inspector_calls_a_tool(program: Program) -> None:
    called = await clients.run(
        INSPECTOR,
        *("--cli", "--transport", "stdio", "--method", "tools/call"),
        *("--tool-name", "test_simple_text"),
        *(part for each in program.environment.items() for part in ("-e", "=".join(each))),
        *("--", *program.command),
    )

    assert called.json()["content"] == [{"type": "text", "text": TEXT}]
