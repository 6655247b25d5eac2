"""Pods that are not all alike: of two releases, or in the middle of a change of their keys."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from breakwater_contract.names import FORWARD_VERSION
from breakwater_operator.render import ring
from tests.support import pods
from tests.support.pods import BOUND_SECONDS, Pod, Pods
from tests.unit.runtime.test_forwarding_process import (
    begin,
    call,
    headers,
    message,
    text,
    until,
)

pytestmark = pytest.mark.process

MODULE = """
import asyncio, pathlib
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp_types import ElicitRequest, ElicitRequestFormParams, InputRequiredResult

mcp = MCPServer("shared")

@mcp.tool()
async def echo(text: str, ctx: Context) -> str:
    return text

@mcp.tool()
async def greet(ctx: Context) -> str | InputRequiredResult:
    if ctx.request_state is not None:
        return f"{ctx.request_state} goes on"
    schema = {"type": "object", "properties": {}}
    asked = ElicitRequestFormParams(message="?", requested_schema=schema)
    return InputRequiredResult(
        input_requests={"name": ElicitRequest(params=asked)}, request_state="the first round"
    )

@mcp.tool()
async def meet(name: str, other: str) -> str:
    here = pathlib.Path(__file__).parent
    (here / name).touch()
    while not (here / other).exists():
        await asyncio.sleep(0.02)
    return name
"""

N = FORWARD_VERSION
MODERN = "2026-07-28"


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=BOUND_SECONDS) as client:
        yield client


async def echoed(http: httpx2.AsyncClient, pod: Pod, session: str) -> httpx2.Response:
    return await http.post(
        f"{pod.public}/mcp", headers=headers(session), json=call("echo", text=pod.name)
    )


async def test_pods_of_two_releases_pass_requests_on_in_both_directions(
    tmp_path: Path, http: httpx2.AsyncClient
) -> None:
    versions = [(N, N), (N, N + 1)]
    with pods.running(tmp_path, MODULE, 2, versions=versions) as two:
        sessions = [await begin(http, pod.public) for pod in two.all]

        # The newer one to the older one, and the older one to the newer one.
        answers = [
            await echoed(http, two[1], sessions[0]),
            await echoed(http, two[0], sessions[1]),
        ]

    assert [text(each.json()) for each in answers] == ["pod-1", "pod-0"]


async def test_a_release_that_no_longer_takes_the_others_version_says_that_the_session_is_gone(
    tmp_path: Path, http: httpx2.AsyncClient
) -> None:
    versions = [(N, N), (N + 1, N + 2)]
    with pods.running(tmp_path, MODULE, 2, versions=versions) as two:
        session = await begin(http, two[1].public)

        answer = await echoed(http, two[0], session)

        said = two[1].log

    assert answer.status_code == 404
    assert answer.json()["error"]["data"]["code"] == "SESSION_NOT_FOUND"
    assert "a peer speaks another version" in said


@pytest.mark.requirement("K2")
async def test_pods_that_are_full_of_requests_for_each_other_answer_them(
    tmp_path: Path, http: httpx2.AsyncClient
) -> None:
    with pods.running(tmp_path, MODULE, 2, limits={"inFlight": 1}) as two:
        sessions = [await begin(http, pod.public) for pod in two.all]

        async def meet(edge: Pod, session: str, name: str, other: str) -> httpx2.Response:
            body = call("meet", name=name, other=other)
            return await http.post(f"{edge.public}/mcp", headers=headers(session), json=body)

        answers = await asyncio.gather(
            meet(two[0], sessions[1], "a", "b"), meet(two[1], sessions[0], "b", "a")
        )

    assert [text(each.json()) for each in answers] == ["a", "b"]


async def round_of(
    http: httpx2.AsyncClient, pod: Pod, who: str = "alice", **more: Any
) -> dict[str, Any]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
    }
    body = message("tools/call", name="greet", arguments={}, _meta=meta, **more)
    said = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "greet"}
    answer = await http.post(f"{pod.public}/mcp", headers=headers(who=who) | said, json=body)
    found: dict[str, Any] = answer.json()
    return found


async def test_the_next_round_of_a_request_may_come_to_another_pod_but_of_its_principal_only(
    tmp_path: Path, http: httpx2.AsyncClient
) -> None:
    with pods.running(tmp_path, MODULE, 2) as two:
        asked = (await round_of(http, two[0]))["result"]
        answers = {"name": {"action": "accept", "content": {}}}
        brought = {"inputResponses": answers, "requestState": asked["requestState"]}

        again = await round_of(http, two[1], **brought)
        stolen = await round_of(http, two[1], "bob", **brought)

    assert asked["resultType"] == "input_required"
    assert text(again) == "the first round goes on"
    assert stolen["error"]["message"] == "Invalid or expired requestState"


def steps() -> list[ring.Ring]:
    """Rotate as the operator does: known to all, then used, then the old one forgotten."""
    age = ring.ROTATED_AFTER + ring.FORGOTTEN_AFTER
    server, found = pods.server(), [pods.first_ring(age)]
    now = found[0].active.made
    for wait in (ring.ROTATED_AFTER, timedelta(), ring.FORGOTTEN_AFTER):
        now += wait
        found.append(ring.advanced(found[-1], server, now, b"1" * 32, is_loaded=True))
    return found


async def mount(three: Pods, pod: Pod, step: int, what: ring.Ring) -> None:
    """Give one pod the ring of a step, and wait until it has taken it over."""
    folder = three.shared.with_name(f"step-{step}")
    pods.share(folder, what)
    before = loads(pod)
    pod.mount(folder)
    await until(lambda: loads(pod) > before)


def loads(pod: Pod) -> float:
    return pod.metrics()['mcp_live_reloads_total{outcome="loaded"}']


@pytest.mark.requirement("G4", "K5")
async def test_sessions_go_on_while_keys_and_certificate_are_changed_pod_by_pod(
    tmp_path: Path, http: httpx2.AsyncClient
) -> None:
    first, known, used, forgotten = steps()
    assert len({each.active.id for each in (first, used)}) == 2
    with pods.running(tmp_path, MODULE, 3) as three:
        for pod in three.all:
            await mount(three, pod, 0, first)
        sessions = [await begin(http, pod.public) for pod in three.all]
        for step, each in enumerate((known, used), 1):
            for pod in three.all:
                # Between two pods that are a step apart, over new connections too.
                await mount(three, pod, step, each)
                sessions.append(await begin(http, pod.public))
                for session in sessions:
                    for asked in three.all:
                        answer = await echoed(http, asked, session)
                        assert text(answer.json()) == asked.name
        for pod in three.all:
            await mount(three, pod, 3, forgotten)
        newest = [await echoed(http, pod, sessions[-1]) for pod in three.all]
        oldest = [await echoed(http, pod, sessions[0]) for pod in three.all]

    assert [each.status_code for each in newest] == [200] * 3
    # A day later it is over anyhow; only the pod that has it needs no key to know it.
    assert [each.status_code for each in oldest] == [200, 404, 404]
