"""What a server may ask its client, by the eras of both: the table of docs/explanation/backends.md.

Each test says in its name which row and column it stands for.
"""

import asyncio
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from breakwater_contract.backends import ContainerBackend as Settings
from breakwater_contract.remote import RemoteBackend as Remote
from breakwater_runtime.backends import container, remote
from breakwater_runtime.backends.container import ContainerBackend
from breakwater_runtime.calls import Call, RpcError
from tests.support import children
from tests.support.children import Helper
from tests.unit.runtime import answering, containers
from tests.unit.runtime.answering import Asked, result, send
from tests.unit.runtime.containers import LEAN, MODERN, OLDER, Notes, call

YES = {"action": "accept", "content": {"response": "yes", "name": "Ada"}}
WANTED = {"user_name": {"method": "elicitation/create", "params": {"message": "Who?"}}}
ASKS_BY_RESULT = "test_input_required_result_elicitation"


@pytest.fixture
def older_server(tmp_path: Path) -> Iterator[Helper]:
    """A command that knows the older era only, and has a tool that asks."""
    with children.helper(tmp_path, LEAN) as helper:
        yield helper


@pytest.fixture
def server_of_both(tmp_path: Path) -> Iterator[Helper]:
    """A command of the SDK, which speaks to each client in its era."""
    command = children.python("tests.support.conformance", "--stdio")
    with children.helper(tmp_path, command) as helper:
        yield helper


async def only_modern(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Serve today's era alone, with a tool that asks by its result."""
    if asked.method == "server/discover":
        about = {"supportedVersions": [MODERN], "capabilities": {"tools": {}}}
        await send(writer, 200, result(asked, about))
    elif asked.method == "tools/list":
        tools = [{"name": "ask", "inputSchema": {"type": "object"}}]
        await send(writer, 200, result(asked, {"tools": tools, "resultType": "complete"}))
    elif asked.method == "tools/call":
        required = {"resultType": "input_required", "inputRequests": WANTED}
        await send(writer, 200, result(asked, required))
    else:
        await send(writer, 404, answering.error(asked))


async def session(made: ContainerBackend, channel: Notes) -> Any:
    """Greet as an older client that can be asked."""
    said = {"protocolVersion": OLDER, "capabilities": {"elicitation": {}}}
    greeting = call("initialize", said, channel=channel)
    greeting.peer = made.connect("one", channel)
    await made.answer(greeting)
    return greeting.peer


def calling(name: str, version: str, channel: Notes, **arguments: Any) -> Call:
    given = {"name": name, "arguments": arguments}
    return call("tools/call", given, version=version, channel=channel)


async def told(made: ContainerBackend, asked: Call) -> str:
    return str(orjson.loads(await made.answer(asked))["content"][0]["text"])


async def told_in_session(
    made: ContainerBackend, name: str, channel: Notes, **arguments: Any
) -> str:
    """Call a tool as an older client that can be asked."""
    asked = calling(name, OLDER, channel, **arguments)
    asked.peer = await session(made, channel)
    return await told(made, asked)


@pytest.mark.process
@pytest.mark.requirement("A5")
async def test_an_older_server_asks_an_older_client_through_its_session(
    older_server: Helper,
) -> None:
    channel = Notes(YES)
    async with containers.backend(older_server) as made:
        answer = await told_in_session(made, "ask", channel)

    assert channel.asked == ["elicitation/create"]
    assert orjson.loads(answer) == YES


@pytest.mark.process
async def test_an_older_server_is_refused_at_a_client_of_today(older_server: Helper) -> None:
    channel = Notes(YES)
    async with containers.backend(older_server) as made:
        answer = await told(made, calling("ask", MODERN, channel))

    assert channel.asked == []
    assert "2026-07-28, which has no requests from servers" in answer


@pytest.mark.process
@pytest.mark.requirement("A5")
async def test_a_server_of_today_that_knows_the_older_era_asks_an_older_client_in_it(
    server_of_both: Helper,
) -> None:
    channel = Notes(YES)
    async with containers.backend(server_of_both) as made:
        answer = await told_in_session(made, "test_elicitation", channel, message="sure?")

    assert channel.asked == ["elicitation/create"]
    assert "action=accept" in answer


@pytest.mark.process
async def test_a_server_of_today_asks_a_client_of_today_by_its_result(
    server_of_both: Helper,
) -> None:
    channel = Notes()
    async with containers.backend(server_of_both) as made:
        first = calling(ASKS_BY_RESULT, MODERN, channel)
        able: dict[str, Any] = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}
        assert first.params is not None
        first.params["_meta"] |= able
        required = orjson.loads(await made.answer(first))
        again = calling(ASKS_BY_RESULT, MODERN, channel)
        assert again.params is not None
        again.params |= {"inputResponses": dict.fromkeys(required["inputRequests"], YES)}
        again.params["_meta"] |= able
        answer = await told(made, again)

    assert required["resultType"] == "input_required"
    assert channel.asked == []
    assert answer == "Hello, Ada!"


async def test_an_older_client_is_told_that_a_server_of_today_alone_does_not_serve_it() -> None:
    async with answering.answering(only_modern) as server:
        settings = Settings.model_validate({"http": {"port": server.port}})
        made = container.backend("main", settings, Path("/"), container.Pod())
        async with _running(made):
            with pytest.raises(RpcError) as failed:
                await made.answer(calling("ask", OLDER, Notes()))
            required = orjson.loads(await made.answer(calling("ask", MODERN, Notes())))

    assert "does not serve clients of this era" in failed.value.message
    assert failed.value.data["code"] == "SERVER_UNAVAILABLE"
    assert failed.value.data["retryable"] is False
    assert required["inputRequests"] == WANTED


async def test_an_older_client_of_a_remote_server_of_today_is_told_that_it_cannot_be_asked() -> (
    None
):
    async with answering.answering(only_modern) as server:
        url = f"http://127.0.0.1:{server.port}/mcp"
        said = {"url": url, "insecurePlainHttp": True, "addresses": ["127.0.0.1"]}
        made = remote.backend("main", Remote.model_validate(said), Path("/"))
        async with _running(made):
            with pytest.raises(RpcError) as failed:
                await made.answer(calling("ask", OLDER, Notes()))

    assert "as only clients of 2026-07-28 can give it" in failed.value.message


@asynccontextmanager
async def _running(made: ContainerBackend) -> Any:
    async with made.running():
        await containers.well(made)
        yield
