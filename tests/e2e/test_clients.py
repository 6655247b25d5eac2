"""Clients that others wrote, against the runtime: they list and call tools in both eras."""

import json
from pathlib import Path

import pytest
from httpx2 import AsyncClient
from mcp.client import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitRequestParams, ElicitResult, TextContent, TextResourceContents

from tests.support import clients
from tests.support.conformance.fronts import Front
from tests.support.conformance.server import PROMPTS, TOOLS
from tests.support.reports import Reports

INSPECTOR = Path("@modelcontextprotocol/inspector/clients/launcher/build/index.js")
OLDER, MODERN = "2025-11-25", "2026-07-28"
TEXT = "This is a simple text response for testing."
ALL_TOOLS = {"json_schema_2020_12_tool", *(f"test_{tool.__name__}" for tool in TOOLS)}


async def test_the_typescript_sdk_1_lists_and_calls_tools(fixture_runtime: Front) -> None:
    answer = (await clients.run("sdk1.mjs", *_address(fixture_runtime))).json()

    assert set(answer.pop("tools")) == ALL_TOOLS
    assert json.loads(answer.pop("read"))["id"] == "7"
    assert answer == {"protocolVersion": OLDER, "text": TEXT, "progress": [0, 50, 100]}


@pytest.mark.parametrize(
    ("era", "version", "asked"),
    [
        pytest.param("legacy", OLDER, None, id="older"),
        pytest.param("auto", MODERN, "Hello, Ada!", id="negotiated"),
        pytest.param(MODERN, MODERN, "Hello, Ada!", id="modern"),
    ],
)
async def test_the_typescript_sdk_2_lists_and_calls_tools(
    fixture_runtime: Front, era: str, version: str, asked: str | None
) -> None:
    answer = (await clients.run("sdk2.mjs", *_address(fixture_runtime), era)).json()

    assert set(answer.pop("tools")) == ALL_TOOLS
    assert json.loads(answer.pop("read"))["id"] == "7"
    assert answer == {
        "protocolVersion": version,
        "text": TEXT,
        "progress": [0, 50, 100],
        "asked": asked,
    }


@pytest.mark.parametrize(
    ("mode", "version"),
    [
        pytest.param("legacy", OLDER, id="older"),
        pytest.param("auto", MODERN, id="negotiated"),
        pytest.param(MODERN, MODERN, id="modern"),
    ],
)
async def test_the_python_sdk_lists_and_calls_tools(
    fixture_runtime: Front, mode: str, version: str
) -> None:
    reported = Reports()

    headers = {"Authorization": f"Bearer {fixture_runtime.key}"}
    async with (
        AsyncClient(headers=headers) as http,
        Client(streamable_http_client(fixture_runtime.url, http_client=http), mode=mode) as client,
    ):
        negotiated = client.protocol_version
        tools = await client.list_tools()
        called = await client.call_tool("test_simple_text")
        await client.call_tool("test_tool_with_progress", progress_callback=reported)
        read = await client.read_resource("test://static-text")
        prompts = await client.list_prompts()

    assert negotiated == version
    assert {tool.name for tool in tools.tools} == ALL_TOOLS
    assert called.content == [TextContent(type="text", text=TEXT)]
    assert reported == [0, 50, 100]
    assert isinstance(read.contents[0], TextResourceContents)
    assert {prompt.name for prompt in prompts.prompts} == {f"test_{p.__name__}" for p in PROMPTS}


async def test_the_python_sdk_answers_what_a_tool_asks(fixture_runtime: Front) -> None:
    async def answer(context: object, params: ElicitRequestParams) -> ElicitResult:
        return ElicitResult(action="accept", content={"name": "Ada"})

    headers = {"X-API-Key": str(fixture_runtime.key)}
    async with (
        AsyncClient(headers=headers) as http,
        Client(
            streamable_http_client(fixture_runtime.url, http_client=http),
            mode=MODERN,
            elicitation_callback=answer,
        ) as client,
    ):
        called = await client.call_tool("test_input_required_result_elicitation")

    assert called.content == [TextContent(type="text", text="Hello, Ada!")]


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_the_inspector_lists_and_calls_tools(fixture_runtime: Front, era: str) -> None:
    listed = (await _inspect(fixture_runtime, era, "tools/list")).json()
    called = (
        await _inspect(fixture_runtime, era, "tools/call", "--tool-name", "test_simple_text")
    ).json()

    assert {tool["name"] for tool in listed["tools"]} == ALL_TOOLS
    assert called["content"] == [{"type": "text", "text": TEXT}]


@pytest.mark.requirement("A1", "K1")
async def test_the_typescript_sdk_1_speaks_http_and_sse(fixture_runtime: Front) -> None:
    ran = await clients.run("sdk1.mjs", *_stream(fixture_runtime), "sse")

    answer = ran.json()
    assert set(answer["tools"]) == ALL_TOOLS
    assert json.loads(answer["read"])["id"] == "7"
    assert (answer["text"], answer["progress"]) == (TEXT, [0, 50, 100])


@pytest.mark.requirement("A1", "K1")
@pytest.mark.parametrize(("mode", "version"), [("legacy", OLDER), ("auto", MODERN)])
async def test_the_python_sdk_speaks_http_and_sse(
    fixture_runtime: Front, mode: str, version: str
) -> None:
    url, key = _stream(fixture_runtime)
    reported = Reports()

    async with Client(sse_client(url, headers={"X-API-Key": key}), mode=mode) as client:
        negotiated = client.protocol_version
        tools = await client.list_tools()
        called = await client.call_tool("test_simple_text")
        await client.call_tool("test_tool_with_progress", progress_callback=reported)
        resources = await client.list_resources()
        read = await client.read_resource("test://static-text")

    assert negotiated == version
    assert {tool.name for tool in tools.tools} == ALL_TOOLS
    assert called.content == [TextContent(type="text", text=TEXT)]
    assert reported == [0, 50, 100]
    assert "test://static-text" in {str(each.uri) for each in resources.resources}
    assert isinstance(read.contents[0], TextResourceContents)


@pytest.mark.requirement("A1", "A2")
@pytest.mark.parametrize("key", ["", "wrong"])
async def test_nobody_speaks_http_and_sse_without_a_key(fixture_runtime: Front, key: str) -> None:
    url, _ = _stream(fixture_runtime)

    answer = await clients.run("sdk1.mjs", url, key, "sse")

    assert answer.code != 0
    assert "401" in answer.errors
    assert TEXT not in answer.output


@pytest.mark.requirement("A1")
async def test_the_inspector_speaks_http_and_sse(fixture_runtime: Front) -> None:
    url, key = _stream(fixture_runtime)

    called = await clients.run(
        INSPECTOR,
        *("--cli", url, "--transport", "sse", "--header", f"X-API-Key: {key}"),
        *("--method", "tools/call", "--tool-name", "test_simple_text"),
    )

    assert called.json()["content"] == [{"type": "text", "text": TEXT}]


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_a_client_with_a_wrong_key_is_told_401(fixture_runtime: Front, era: str) -> None:
    answer = await clients.run("sdk2.mjs", fixture_runtime.url, "wrong", era)

    assert answer.code != 0
    assert "401" in answer.errors or "Unauthorized" in answer.errors
    assert TEXT not in answer.output


def _address(front: Front) -> tuple[str, str]:
    return front.url, str(front.key)


def _stream(front: Front) -> tuple[str, str]:
    return front.url.replace("/mcp", "/mcp/sse"), str(front.key)


async def _inspect(front: Front, era: str, method: str, *more: str) -> clients.Answer:
    url, key = _address(front)
    return await clients.run(
        INSPECTOR,
        *("--cli", url, "--transport", "http", "--protocol-era", era),
        *("--header", f"X-API-Key: {key}", "--method", method, *more),
    )
