"""The runtime as a local client starts it, and serves it over its standard streams."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.stdio import stdio_client
from mcp_types import TextContent

from tests.support.python_path import python_path
from tests.support.reports import Reports
from tests.unit.runtime.fakes import ALICE
from tests.unit.runtime.test_process import COMMAND, START_SECONDS, message, modern, reserved

pytestmark = [pytest.mark.process, pytest.mark.requirement("G1")]

MODULE = """
import subprocess, sys
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

mcp = MCPServer("local")

@mcp.tool()
async def noisy(text: str, ctx: Context) -> str:
    print("this is not a message", flush=True)
    subprocess.run(["/bin/sh", "-c", "echo neither is this; cat"], check=True)
    await ctx.report_progress(1)
    return f"{text}, {ctx.mcp_server.name}, {sys.stdin.read()!r}"
"""
LIST = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n'


def environment(folder: Path, **more: str) -> dict[str, str]:
    (folder / "local.py").write_text(MODULE)
    server = {"BREAKWATER_BACKEND_PYTHON_SERVER": "local:mcp"}
    return {"PATH": os.defpath, "PYTHONPATH": python_path(folder), **server, **more}


@asynccontextmanager
async def client(folder: Path, mode: str, *more: str, **variables: str) -> AsyncIterator[Client]:
    parameters = StdioServerParameters(
        command=COMMAND,
        args=["--transport", *(more or ("stdio",))],
        env=environment(folder, **variables),
        cwd=folder,
    )
    with (folder / "log").open("w") as log:
        async with Client(stdio_client(parameters, errlog=log), mode=mode) as connected:
            yield connected


def started(folder: Path, *arguments: str, **variables: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [COMMAND, *arguments],
        cwd=folder,
        env=environment(folder, **variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("mode", ["legacy", "auto", "2026-07-28"])
async def test_the_sdks_client_calls_a_tool_that_prints(tmp_path: Path, mode: str) -> None:
    reported = Reports()

    async with client(tmp_path, mode) as connected:
        tools = await connected.list_tools()
        called = await connected.call_tool("noisy", {"text": "hello"}, progress_callback=reported)

    assert [tool.name for tool in tools.tools] == ["noisy"]
    assert called.content == [TextContent(type="text", text="hello, local, ''")]
    assert reported == [1]
    assert "this is not a message" in (tmp_path / "log").read_text()


def test_it_ends_when_its_client_leaves_and_opens_no_port(tmp_path: Path) -> None:
    with started(tmp_path, "--transport", "stdio") as process:
        output, errors = process.communicate(LIST, START_SECONDS)

    (answer,) = output.splitlines()
    assert json.loads(answer)["id"] == 1
    assert process.returncode == 0, errors
    assert b'"port"' not in errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_told_to(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path, "--transport", "stdio") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(LIST)
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(number)

        assert process.wait(START_SECONDS) == 0


async def test_both_are_served_at_once_where_asked(tmp_path: Path) -> None:
    with reserved() as (public, management):
        variables = {
            "BREAKWATER_KEY": ALICE,
            "BREAKWATER_LISTEN_PUBLIC_PORT": str(public),
            "BREAKWATER_LISTEN_MANAGEMENT_PORT": str(management),
        }
        async with client(tmp_path, "auto", "both", **variables) as connected:
            tools = await connected.list_tools()
            async with httpx2.AsyncClient() as http:
                url = f"http://127.0.0.1:{public}/mcp"
                body = message("tools/list")
                over_http = await http.post(url, headers=modern("tools/list"), json=body)
                without = await http.post(url, json=body)
                page = await http.get(f"http://127.0.0.1:{management}/metrics")

    assert [tool["name"] for tool in over_http.json()["result"]["tools"]] == ["noisy"]
    assert [tool.name for tool in tools.tools] == ["noisy"]
    assert without.status_code == 401
    counted = 'mcp_method_name="tools/list",outcome="ok"} 2.0'
    assert counted in page.text


def test_both_want_a_key_for_those_who_come_over_the_network(tmp_path: Path) -> None:
    with started(tmp_path, "--transport", "both") as process:
        _, errors = process.communicate(b"", START_SECONDS)

    assert process.returncode == 2
    assert b"BREAKWATER_KEY: there is no key" in errors


@pytest.mark.parametrize("name", ["", "a b", "jwt:root", "x\n", "é", "a" * 129])
def test_a_principal_that_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    arguments = [COMMAND, "--transport", "stdio", "--principal", name]

    ended = subprocess.run(
        arguments, env=environment(tmp_path), capture_output=True, timeout=START_SECONDS
    )

    assert ended.returncode == 2
    assert b"accepted are letters" in ended.stderr


def test_standard_input_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(LIST)
    with (tmp_path / "in").open("rb") as given, (tmp_path / "out").open("wb") as out:
        ended = subprocess.run(
            [COMMAND, "--transport", "stdio"],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdin=given,
            stdout=out,
            stderr=sys.stderr,
            timeout=START_SECONDS,
        )

    assert ended.returncode == 0
    assert json.loads((tmp_path / "out").read_bytes())["id"] == 1
