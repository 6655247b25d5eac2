"""HTTP+SSE behind several replicas: a client posts to any of them."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from tests.support import pods
from tests.support.pods import BOUND_SECONDS, KEYS, Pods

pytestmark = pytest.mark.process

MODULE = """
from mcp.server import MCPServer

mcp = MCPServer("shared")

@mcp.tool()
async def echo(text: str) -> str:
    return text
"""


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    with pods.running(tmp_path_factory.mktemp("three"), MODULE, drain="2s") as found:
        yield found


@asynccontextmanager
async def stream(http: httpx2.AsyncClient, url: str) -> AsyncIterator[AsyncIterator[str]]:
    """Open a stream; yield what stands in its events."""
    headers = {"x-api-key": KEYS["alice"], "accept": "text/event-stream"}
    async with http.stream("GET", f"{url}/mcp/sse", headers=headers) as response:
        lines = response.aiter_lines()

        async def data() -> AsyncIterator[str]:
            async for line in lines:
                if line.startswith("data: "):
                    yield line.removeprefix("data: ")

        yield data()


async def post(
    http: httpx2.AsyncClient, url: str, number: int, who: str = "alice"
) -> httpx2.Response:
    params: dict[str, Any] = {"name": "echo", "arguments": {"text": f"text {number}"}}
    message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
    return await http.post(url, headers={"x-api-key": KEYS[who]}, json=message)


@pytest.mark.requirement("A1", "G4")
async def test_a_client_posts_to_any_replica_and_hears_over_its_stream(three: Pods) -> None:
    async with (
        httpx2.AsyncClient(timeout=BOUND_SECONDS) as http,
        stream(http, three[0].public) as events,
    ):
        endpoint = await anext(events)
        heard = []
        for number, pod in enumerate([*three.all, *three.all]):
            posted = await post(http, f"{pod.public}{endpoint}", number)
            assert posted.status_code == 202
            answer = json.loads(await anext(events))
            heard.append((answer["id"], answer["result"]["content"][0]["text"]))
        foreign = await post(http, f"{three[1].public}{endpoint}", 9, who="bob")

    assert heard == [(number, f"text {number}") for number in range(6)]
    assert foreign.status_code == 404
    assert endpoint.partition("=")[2] not in "".join(pod.log for pod in three.all)


async def test_a_session_that_has_ended_is_not_found_through_any_replica(three: Pods) -> None:
    async with httpx2.AsyncClient(timeout=BOUND_SECONDS) as http:
        async with stream(http, three[0].public) as events:
            endpoint = await anext(events)

        async def refused_by_all() -> bool:
            posted = [await post(http, f"{pod.public}{endpoint}", 1) for pod in three.all]
            return {each.status_code for each in posted} == {404}

        async with asyncio.timeout(BOUND_SECONDS):  # the end has to be noticed first
            while not await refused_by_all():
                pass
