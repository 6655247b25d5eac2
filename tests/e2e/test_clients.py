"""Clients that others wrote, against the runtime: they list and call tools in both eras."""

import json
from pathlib import Path

import pytest
from httpx2 import AsyncClient
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitRequestParams, ElicitResult, TextContent, TextResourceContents

from tests.support import clients
from tests.support.conformance.fronts import Front
from tests.support.conformance.server import PROMPTS, TOOLS

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
    reported: list[float] = []

    async def on_progress(
        progress: float, total: float | None = None, message: str | None = None
    ) -> None:
        reported.append(progress)

    headers = {"Authorization": f"Bearer {fixture_runtime.key}"}
    async with (
        AsyncClient(headers=headers) as http,
        Client(streamable_http_client(fixture_runtime.url, http_client=http), mode=mode) as client,
    ):
        negotiated = client.protocol_version
        tools = await client.list_tools()
        called = await client.call_tool("test_simple_text")
        await client.call_tool("test_tool_with_progress", progress_callback=on_progress)
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


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_a_client_with_a_wrong_key_is_told_401(fixture_runtime: Front, era: str) -> None:
    answer = await clients.run("sdk2.mjs", fixture_runtime.url, "wrong", era)

    assert answer.code != 0
    assert "401" in answer.errors or "Unauthorized" in answer.errors
    assert TEXT not in answer.output


def _address(front: Front) -> tuple[str, str]:
    return front.url, str(front.key)


async def _inspect(front: Front, era: str, method: str, *more: str) -> clients.Answer:
    url, key = _address(front)
    return await clients.run(
        INSPECTOR,
        *("--cli", url, "--transport", "http", "--protocol-era", era),
        *("--header", f"X-API-Key: {key}", "--method", method, *more),
    )
