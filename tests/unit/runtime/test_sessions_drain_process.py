"""A thousand sessions behind a plain proxy, and one of three pods goes away in the middle."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support import pods
from tests.support.pods import BOUND_SECONDS, KEYS, Pod
from tests.support.rawclient import Answer, ask
from tests.support.roundrobin import RoundRobin

pytestmark = pytest.mark.process

SESSIONS = 1000
CALLS = 3
ENDPOINTS_LAG_SECONDS = 0.5
"""For how long connections still come to a pod that was told to stop."""

SPREAD_SECONDS = 6.0
OPEN_SECONDS = 5.0
CROWD_SECONDS = 2 * BOUND_SECONDS
"""For three processes, a proxy and a thousand clients on a machine that has other work."""

MODULE = """
import asyncio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

mcp = MCPServer("shared")

@mcp.tool()
async def work(text: str, ctx: Context) -> str:
    await ctx.report_progress(1)
    await asyncio.sleep(1)
    return text
"""

VERSION = "2025-11-25"
LIMITS = {"requestsPerMinute": {"principal": 1_000_000}, "sessions": {"perPrincipal": 5000}}


def message(method: str, number: int, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


HELLO = message(
    "initialize",
    0,
    {
        "protocolVersion": VERSION,
        "capabilities": {"sampling": {}},
        "clientInfo": {"name": "test", "version": "1"},
    },
)


@dataclass
class Crowd:
    """All clients, and what they saw."""

    port: int
    seen: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    begun: int = 0
    middle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once every session has had its first call answered."""

    def expect(self, condition: object, fault: str) -> None:
        if not condition:
            self.faults.append(fault)


class Client:
    """One session from begin to end."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self.crowd = crowd
        self.number = number
        self.headers = {
            "x-api-key": KEYS["alice"],
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
        }
        self.is_over = False

    def ended(self) -> bool:
        return self.is_over

    async def live(self) -> None:
        await self.begin()
        listening = asyncio.create_task(self.listen())
        for call in range(CALLS):
            await self.call(call)
            if call == 0:
                self.crowd.begun += 1
                if self.crowd.begun == SESSIONS:
                    self.crowd.middle.set()
                await self.crowd.middle.wait()
                # Not all at once: some are in the middle of a call when the pod is told to stop.
                await asyncio.sleep(SPREAD_SECONDS * self.number / SESSIONS)
        self.is_over = True
        ended = await ask(self.crowd.port, "DELETE", self.headers)
        await ended.body()
        self.crowd.expect(ended.status == 200, f"DELETE was answered {ended.status}")
        await listening

    async def begin(self) -> None:
        answer = await ask(self.crowd.port, "POST", self.headers, HELLO)
        await answer.body()
        self.crowd.expect(answer.status == 200, f"initialize was answered {answer.status}")
        await self.has_begun(answer.headers["mcp-session-id"])

    async def has_begun(self, session: str) -> None:
        self.headers |= {"mcp-session-id": session, "mcp-protocol-version": VERSION}
        note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        await (await ask(self.crowd.port, "POST", self.headers, note)).body()

    async def listen(self) -> None:
        """Keep a stream open, and come back for it whenever it ends, until the session's end."""
        while not self.ended():
            answer = await ask(self.crowd.port, "GET", self.headers)
            await answer.body()
            if answer.status == 404 and self.ended():
                return
            self.crowd.expect(answer.status == 200, f"GET was answered {answer.status}")
            self.crowd.expect(answer.ended_well, "a stream was cut")
            self.crowd.seen["streams"] += 1

    async def call(self, number: int) -> None:
        params = {
            "name": "work",
            "arguments": {"text": f"{self.number}-{number}"},
            "_meta": {"progressToken": 1},
        }
        # Every client has the same ids.
        answer = await ask(self.crowd.port, "POST", self.headers, message("tools/call", 1, params))
        await self.check(answer, f"{self.number}-{number}")

    async def check(self, answer: Answer, text: str) -> None:
        messages = await answer.messages()
        self.crowd.expect(answer.status == 200, f"a call was answered {answer.status}")
        self.crowd.expect(answer.ended_well, "the answer to a call was cut")
        last = messages[-1] if messages else {}
        content = last.get("result", {}).get("content", [{}])[0].get("text")
        self.crowd.expect(content == text, f"a call was answered {last}")
        self.crowd.seen["answers"] += 1


def stop(pod: Pod, proxy: RoundRobin, late: Client) -> httpx2.Response:
    """Tell a pod to stop; begin one more session there; have no more connections come to it.

    In a thread of its own: a thousand clients must not delay what a cluster does beside them.
    """
    pod.terminate()
    time.sleep(ENDPOINTS_LAG_SECONDS)
    proxy.ports.remove(pod.ports[0])
    return httpx2.post(f"{pod.public}/mcp", headers=late.headers, json=HELLO, timeout=BOUND_SECONDS)


@pytest.mark.requirement("T17", "K2", "K5")
async def test_a_pod_goes_away_and_no_session_notices(tmp_path: Path) -> None:
    with pods.running(
        tmp_path, MODULE, 3, drain="300s", open_seconds=OPEN_SECONDS, limits=LIMITS
    ) as three:
        proxy = RoundRobin([pod.ports[0] for pod in three.all])
        async with proxy.listening() as port:
            crowd = Crowd(port)
            clients = [Client(crowd, number) for number in range(SESSIONS)]
            running = [asyncio.create_task(client.live()) for client in clients]
            async with asyncio.timeout(CROWD_SECONDS):
                await crowd.middle.wait()
            owned = three[0].metrics()["mcp_sessions"]
            late = Client(crowd, SESSIONS)
            begun = await asyncio.to_thread(stop, three[0], proxy, late)
            async with asyncio.timeout(CROWD_SECONDS):
                await asyncio.gather(*running)
                await late.has_begun(begun.headers["mcp-session-id"])
                await late.call(0)
            code = await asyncio.to_thread(three[0].wait)

        lost = {pod.name: pod.metrics()["mcp_sessions"] for pod in three.all[1:]}

    assert Counter(crowd.faults) == Counter()
    assert crowd.seen["answers"] == SESSIONS * CALLS + 1
    assert crowd.seen["streams"] > SESSIONS  # those that were handed over came back
    assert owned > SESSIONS / 10
    assert code == 0
    assert sum(lost.values()) == 1  # the late one, which nobody ended
