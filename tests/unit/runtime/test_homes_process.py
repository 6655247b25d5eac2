"""Several processes that keep something for each principal: it finds it whichever it asks."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support import pods
from tests.support.pods import BOUND_SECONDS, KEYS, Pod, Pods
from tests.unit.runtime.test_forwarding_process import begin, call, headers, message, text

pytestmark = [pytest.mark.process, pytest.mark.requirement("W6")]

MODULE = """
import collections, os
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

mcp = MCPServer("shared")
counts = collections.Counter()

@mcp.tool()
async def count(who: str, ctx: Context) -> str:
    counts[who] += 1
    return f"{os.getpid()} {counts[who]}"
"""

MODERN = "2026-07-28"
META: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=BOUND_SECONDS) as client:
        yield client


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Pods]:
    with pods.running(tmp_path, MODULE, are_homes=True) as found:
        for pod in found.all:
            wait_for_others(pod, 3)
        yield found


def wait_for_others(pod: Pod, count: int) -> None:
    """Wait until a pod last said that so many pods answer, itself among them."""
    end = time.monotonic() + BOUND_SECONDS
    while True:
        told = [json.loads(line) for line in pod.log.splitlines() if "pods that answer" in line]
        if told and len(told[-1]["pods"]) == count:
            return
        assert time.monotonic() < end, pod.log
        time.sleep(0.1)


async def counted(http: httpx2.AsyncClient, pod: Pod, who: str) -> str:
    """Count by a request of today."""
    body = message("tools/call", name="count", arguments={"who": who}, _meta=META)
    said = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "count"}
    answer = await http.post(f"{pod.public}/mcp", headers=headers(who=who) | said, json=body)
    return text(answer.json())


async def test_every_pod_leads_to_the_home_of_a_principal(
    three: Pods, http: httpx2.AsyncClient
) -> None:
    said = {
        who: [await counted(http, pod, who) for pod in three.all * 2 for _ in range(2)]
        for who in KEYS
    }

    for answers in said.values():
        processes, counts = zip(*(each.split() for each in answers), strict=True)
        assert len(set(processes)) == 1
        assert list(counts) == [str(number) for number in range(1, 13)]


async def test_older_clients_go_there_too_with_a_session_or_without(
    three: Pods, http: httpx2.AsyncClient
) -> None:
    async def asked(pod: Pod, session: str | None) -> str:
        body = call("count", who="alice")
        answer = await http.post(f"{pod.public}/mcp", headers=headers(session), json=body)
        return text(answer.json())

    modern = await counted(http, three[0], "alice")
    without = [await asked(pod, None) for pod in three.all]
    sessions = [await begin(http, pod.public) for pod in three.all]
    within = [await asked(three[0], session) for session in sessions]

    assert {each.split()[0] for each in (*without, *within)} == {modern.split()[0]}


async def test_when_the_home_dies_all_others_agree_on_another_one(
    three: Pods, http: httpx2.AsyncClient
) -> None:
    process = int((await counted(http, three[0], "alice")).split()[0])
    home = next(pod for pod in three.all if pod.process.pid == process)
    others = [pod for pod in three.all if pod is not home]

    home.kill()
    at_once = [await counted(http, pod, "alice") for pod in others]
    await asyncio.gather(*(asyncio.to_thread(wait_for_others, pod, 2) for pod in others))
    later = [await counted(http, pod, "alice") for pod in itertools.chain(others, others)]

    assert all(int(each.split()[0]) != process for each in at_once)
    assert len({each.split()[0] for each in later}) == 1


async def test_listeners_through_a_pod_that_stops_are_told(
    three: Pods, http: httpx2.AsyncClient
) -> None:
    process = int((await counted(http, three[0], "alice")).split()[0])
    edge = next(pod for pod in three.all if pod.process.pid != process)
    wanted = {"toolsListChanged": True}
    body = message("subscriptions/listen", notifications=wanted, _meta=META)
    said = {"mcp-protocol-version": MODERN, "mcp-method": "subscriptions/listen"}

    async with http.stream(
        "POST", f"{edge.public}/mcp", headers=headers() | said, json=body
    ) as stream:
        lines = stream.aiter_lines()
        begun = await anext(line async for line in lines if line.startswith("data:"))
        edge.terminate()
        rest = [line async for line in lines if line.startswith("data:")]

    assert "acknowledged" in begun
    assert json.loads(rest[-1].removeprefix("data:"))["error"]["data"]["code"] == "SHUTTING_DOWN"
    assert await asyncio.to_thread(edge.wait) == 0
