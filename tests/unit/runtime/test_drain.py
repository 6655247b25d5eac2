"""SIGTERM while much is going on, at the times of a pod, as clients see it on the wire."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from breakwater_contract.names import DRAIN_OPEN_SECONDS
from tests.support import pods
from tests.support.pods import BOUND_SECONDS, KEYS
from tests.support.rawclient import Answer, ask
from tests.unit.runtime.test_forwarding_process import until

pytestmark = pytest.mark.process

LISTENERS, CALLS, SESSIONS = 1000, 100, 50
DRAIN_SECONDS = 20
MODERN, OLDER = "2026-07-28", "2025-11-25"

MODULE = """
import asyncio, pathlib, threading
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

mcp = MCPServer("shared")
HERE = pathlib.Path(__file__).parent

@mcp.tool()
async def slow(name: str, ctx: Context) -> str:
    HERE.joinpath("slow").touch()
    await asyncio.sleep(8)
    return f"{name} done"

@mcp.tool()
async def echo(text: str) -> str:
    return text

@mcp.tool()
def stuck() -> str:
    HERE.joinpath("stuck").touch()
    threading.Event().wait()
    return "never"
"""
"""The calls last longer than connections are taken."""

BASE = {
    "x-api-key": KEYS["alice"],
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
}


async def modern(port: int, method: str, **params: Any) -> Answer:
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    headers = BASE | {"mcp-protocol-version": MODERN, "mcp-method": method}
    if "name" in params:
        headers["mcp-name"] = params["name"]
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta, **params}}
    return await ask(port, "POST", headers, body)


async def begin(port: int) -> dict[str, str]:
    """Begin a session; give the headers of its requests."""
    hello = {
        "protocolVersion": OLDER,
        "capabilities": {"sampling": {}},
        "clientInfo": {"name": "test", "version": "1"},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    answer = await ask(port, "POST", BASE, body)
    await answer.body()
    return BASE | {"mcp-session-id": answer.headers["mcp-session-id"]}


async def echo(port: int, session: dict[str, str], text: str) -> str:
    params = {"name": "echo", "arguments": {"text": text}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    (last,) = await (await ask(port, "POST", session, body)).messages()
    found: str = last["result"]["content"][0]["text"]
    return found


async def knock(port: int, until: float) -> int:
    """Connect and call again and again, and have every call answered."""
    count = 0
    while time.monotonic() < until:
        text = f"knock {count}"
        answer = await modern(port, "tools/call", name="echo", arguments={"text": text})
        assert text.encode() in await answer.body()
        assert answer.headers["connection"] == "close"
        count += 1
        await asyncio.sleep(0.1)
    return count


@pytest.mark.requirement("T17", "K2", "K5", "T21")
async def test_whatever_goes_on_when_a_pod_stops_comes_to_an_end(tmp_path: Path) -> None:
    with pods.running(
        tmp_path,
        MODULE,
        2,
        drain=f"{DRAIN_SECONDS}s",
        open_seconds=DRAIN_OPEN_SECONDS,
        limits={"requestsPerMinute": {"principal": 1_000_000}},
    ) as two:
        port, by_peer = two[0].ports[0], two[1].ports[0]
        listeners = [
            await modern(port, "subscriptions/listen", notifications={"toolsListChanged": True})
            for _ in range(LISTENERS)
        ]
        sessions = [await begin(port) for _ in range(SESSIONS)]
        streams = [
            await ask(port if number % 2 else by_peer, "GET", session)
            for number, session in enumerate(sessions)
        ]
        calls = [
            asyncio.create_task(
                modern(port, "tools/call", name="slow", arguments={"name": f"call {number}"})
            )
            for number in range(CALLS)
        ]
        stuck = asyncio.create_task(modern(port, "tools/call", name="stuck", arguments={}))
        await until((tmp_path / "slow").exists)
        await until((tmp_path / "stuck").exists)

        two[0].terminate()
        told = time.monotonic()
        await until(lambda: '"draining"' in two[0].log)
        # The signal was sent a moment before it was taken.
        knocks = await knock(port, told + DRAIN_OPEN_SECONDS - 0.5)
        async with asyncio.timeout(2 * BOUND_SECONDS):
            heard = [await listener.messages() for listener in listeners]
            answers = [await (await call).body() for call in calls]
            # Those through the pod have ended; those through its peer go on.
            for stream in streams[1::2]:
                await stream.body()
            texts = [await echo(by_peer, each, str(n)) for n, each in enumerate(sessions)]
            *_, refusal = await (await stuck).messages()
            for stream in streams[::2]:
                await stream.body()
        code = await asyncio.to_thread(two[0].wait)

    assert code == 0
    assert knocks > 1
    assert all(each.ended_well for each in [*listeners, *streams])
    assert all("result" in messages[-1] for messages in heard)
    assert all(f"call {n} done".encode() in each for n, each in enumerate(answers))
    assert texts == [str(number) for number in range(SESSIONS)]
    assert (await stuck).ended_well
    assert refusal["error"]["data"]["code"] == "SHUTTING_DOWN"
