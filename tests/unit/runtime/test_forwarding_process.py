"""Several processes of one server: a session is reached through any of them."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support import pods
from tests.support.pods import BOUND_SECONDS, KEYS, Pods

pytestmark = pytest.mark.process

MODULE = """
import asyncio, pathlib
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp_types import SamplingMessage, TextContent

mcp = MCPServer("shared")
HERE = pathlib.Path(__file__).parent

@mcp.tool()
async def echo(text: str, ctx: Context) -> str:
    return text

@mcp.tool()
async def headers(ctx: Context) -> list[str]:
    return sorted(ctx.request_context.request.headers)

@mcp.tool()
async def wait(name: str, ctx: Context) -> str:
    (HERE / f"{name}.begun").touch()
    try:
        await asyncio.sleep(60)
    finally:
        (HERE / f"{name}.ended").touch()
    return "never"

@mcp.tool()
async def wait_aloud(name: str, ctx: Context) -> str:
    await ctx.report_progress(1)
    return await wait(name, ctx)
"""

VERSION = "2025-11-25"


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    with pods.running(tmp_path_factory.mktemp("three"), MODULE, drain="2s") as found:
        yield found


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=BOUND_SECONDS) as client:
        yield client


def headers(session: str | None = None, who: str = "alice") -> dict[str, str]:
    known = {
        "x-api-key": KEYS[who],
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
    }
    return known if session is None else known | session_headers(session)


def session_headers(session: str) -> dict[str, str]:
    return {"mcp-session-id": session, "mcp-protocol-version": VERSION}


def message(method: str, number: int = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def call(tool: str, number: int = 1, **arguments: Any) -> dict[str, Any]:
    meta = {"progressToken": number}
    return message("tools/call", number, name=tool, arguments=arguments, _meta=meta)


async def begin(http: httpx2.AsyncClient, url: str) -> str:
    """Begin a session."""
    hello = message(
        "initialize",
        protocolVersion=VERSION,
        capabilities={"sampling": {}},
        clientInfo={"name": "test", "version": "1"},
    )
    answer = await http.post(f"{url}/mcp", headers=headers(), json=hello)
    session = answer.headers["mcp-session-id"]
    note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    await http.post(f"{url}/mcp", headers=headers(session), json=note)
    return session


async def until(condition: Callable[[], object]) -> None:
    await asyncio.to_thread(_wait_until, condition)


def _wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + BOUND_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def text(answer: dict[str, Any]) -> str:
    found: str = answer["result"]["content"][0]["text"]
    return found


@pytest.mark.requirement("G4")
async def test_a_session_is_reached_through_every_replica(
    three: Pods, http: httpx2.AsyncClient
) -> None:
    session = await begin(http, three[0].public)

    answers = [
        await http.post(
            f"{pod.public}/mcp", headers=headers(session), json=call("echo", 7, text=pod.name)
        )
        for pod in three.all
    ]
    ended = await http.delete(f"{three[1].public}/mcp", headers=headers(session))
    after = [
        await http.post(f"{pod.public}/mcp", headers=headers(session), json=call("echo", text="x"))
        for pod in three.all
    ]

    assert [text(each.json()) for each in answers] == [pod.name for pod in three.all]
    assert ended.status_code == 200
    assert [each.status_code for each in after] == [404, 404, 404]
    assert {each.json()["error"]["data"]["code"] for each in after} == {"SESSION_NOT_FOUND"}
    assert {each.json()["id"] for each in after} == {1}


@pytest.mark.requirement("G4")
async def test_nobody_else_has_a_session_through_any_replica(
    three: Pods, http: httpx2.AsyncClient
) -> None:
    session = await begin(http, three[0].public)
    foreign = headers(session, "bob")

    answers = [
        await http.post(f"{pod.public}/mcp", headers=foreign, json=call("echo", text="x"))
        for pod in three.all
    ]
    ended = [await http.delete(f"{pod.public}/mcp", headers=foreign) for pod in three.all]

    assert [each.status_code for each in answers + ended] == [404] * 6


async def test_no_credential_is_passed_on_and_all_else_is(
    three: Pods, http: httpx2.AsyncClient
) -> None:
    session = await begin(http, three[0].public)
    sent = headers(session) | {"x-tenant": "7", "cookie": "a=b", "breakwater-pod": "pod-2"}
    sent["breakwater-caller"] = "made up"

    answer = await http.post(f"{three[1].public}/mcp", headers=sent, json=call("headers"))

    seen = set(answer.json()["result"]["structuredContent"]["result"])
    assert {"x-tenant", "mcp-session-id", "x-request-id", "user-agent"} <= seen
    assert seen.isdisjoint({"x-api-key", "authorization", "cookie"})
    assert not any(name.startswith("breakwater-") for name in seen)


@pytest.mark.requirement("A4")
async def test_a_client_that_leaves_the_edge_cancels_at_the_owner(
    three: Pods, http: httpx2.AsyncClient
) -> None:
    folder = three.shared.parent
    session = await begin(http, three[0].public)
    task = asyncio.create_task(
        http.post(
            f"{three[1].public}/mcp", headers=headers(session), json=call("wait", name="left")
        )
    )
    await until((folder / "left.begun").exists)

    task.cancel()

    await until((folder / "left.ended").exists)


async def test_events_are_replayed_through_another_replica(
    three: Pods, http: httpx2.AsyncClient
) -> None:
    session = await begin(http, three[0].public)
    url = f"{three[1].public}/mcp"
    first = call("wait_aloud", 5, name="replayed")
    async with http.stream("POST", url, headers=headers(session), json=first) as stream:
        seen = [await anext(aiter_ids(stream))]

    again = headers(session) | {"last-event-id": seen[0]}
    async with http.stream("GET", f"{three[2].public}/mcp", headers=again) as stream:
        seen.append(await anext(aiter_ids(stream)))

    assert stream.status_code == 200
    assert seen[0] != seen[1]
    assert seen[0].split("-")[0] == seen[1].split("-")[0]


async def aiter_ids(stream: httpx2.Response) -> AsyncIterator[str]:
    async for line in stream.aiter_lines():
        if line.startswith("id: "):
            yield line.removeprefix("id: ")


@pytest.mark.requirement("K5")
async def test_an_owner_that_dies_leaves_no_call_without_an_answer(
    tmp_path: Path, http: httpx2.AsyncClient
) -> None:
    with pods.running(tmp_path, MODULE, 2) as two:
        session, other = await begin(http, two[0].public), await begin(http, two[0].public)
        url = f"{two[1].public}/mcp"
        silent, aloud = (
            asyncio.create_task(
                http.post(url, headers=headers(each), json=call(tool, number, name=tool))
            )
            for each, tool, number in [(session, "wait", 11), (other, "wait_aloud", 12)]
        )
        listening = asyncio.create_task(http.get(url, headers=headers(session)))
        for name in ("wait", "wait_aloud"):
            await until((tmp_path / f"{name}.begun").exists)
        two[0].kill()

        assert (await silent).status_code == 503
        assert (await silent).json()["id"] == 11
        events = [line for line in (await aloud).text.splitlines() if line.startswith("data: {")]
        last = json.loads(events[-1].removeprefix("data: "))
        assert (last["id"], last["error"]["data"]["code"]) == (12, "SHUTTING_DOWN")
        assert (await listening).status_code in {200, 503}
        gone = await http.post(url, headers=headers(session), json=call("echo", text="x"))
        assert gone.status_code == 404


@pytest.mark.requirement("K5")
async def test_an_owner_that_hangs_is_waited_for_no_longer_than_a_second(
    tmp_path: Path, http: httpx2.AsyncClient
) -> None:
    with pods.running(tmp_path, MODULE, 2) as two:
        session = await begin(http, two[0].public)
        url = f"{two[1].public}/mcp"
        await http.post(url, headers=headers(session), json=call("echo", text="x"))
        two[0].process.send_signal(signal.SIGSTOP)

        # The first comes over a connection that is there, the second would need a new one.
        late = [
            await http.post(url, headers=headers(session), json=call("echo", 9, text="x"))
            for _ in range(2)
        ]
        two[0].process.send_signal(signal.SIGCONT)
        again = await http.post(url, headers=headers(session), json=call("echo", text="back"))

    assert [each.status_code for each in late] == [503, 503]
    assert {each.headers["retry-after"] for each in late} == {"1"}
    assert {each.json()["error"]["data"]["code"] for each in late} == {"OWNER_UNREACHABLE"}
    assert text(again.json()) == "back"


async def test_a_hundred_callers_with_one_id_across_replicas_each_get_their_own_answer(
    three: Pods, http: httpx2.AsyncClient
) -> None:
    session = await begin(http, three[0].public)

    async def ask(number: int) -> str:
        url = f"{three[number % 3].public}/mcp"
        body = call("echo", 1, text=str(number))
        return text((await http.post(url, headers=headers(session), json=body)).json())

    answers = await asyncio.gather(*map(ask, range(100)))

    assert answers == [str(number) for number in range(100)]


@pytest.mark.requirement("T12")
async def test_a_call_that_is_passed_on_is_counted_as_one_of_a_tool(
    three: Pods, http: httpx2.AsyncClient
) -> None:
    owner, edge = three[0], three[1]
    session = await begin(http, owner.public)
    before = edge.metrics()

    for asked in (call("echo", text="x"), message("tools/list")):
        await http.post(f"{edge.public}/mcp", headers=headers(session), json=asked)

    name = "http_server_request_duration_seconds_count"
    now = edge.metrics()
    new = [it for it in now if it.startswith(name) and now[it] != before.get(it, 0)]
    assert sum('kind="tool"' in each for each in new) == 1
    assert sum('kind="unary"' in each for each in new) == 1
