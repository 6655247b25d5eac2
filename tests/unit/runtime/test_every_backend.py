"""What holds for every kind of backend, whatever its tools come from.

All serve the same server, and the SDK's own client, which asks that server without us, is the
oracle of what they answer.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from breakwater_contract.backends import ContainerBackend as Settings
from breakwater_contract.remote import RemoteBackend as Remote
from breakwater_runtime.backends import container, remote
from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.backends.container import ContainerBackend
from breakwater_runtime.backends.python import PythonBackend
from breakwater_runtime.calls import Call, RpcError
from tests.support import children
from tests.support.children import Helper
from tests.support.conformance import fronts
from tests.support.conformance.server import mcp
from tests.unit.runtime import containers
from tests.unit.runtime.containers import MODERN, OLDER, Notes, call
from tests.unit.runtime.fakes import FakeBackend

pytestmark = pytest.mark.process

ME = {"name": "tests", "version": "0"}
KINDS = ("fake", "python", "stdio", "http", "remote")
ASKED: Mapping[str, tuple[str, dict[str, Any]]] = {
    "a list of tools": ("tools/list", {}),
    "a list of resources": ("resources/list", {}),
    "templates of resources": ("resources/templates/list", {}),
    "a list of prompts": ("prompts/list", {}),
    "text": ("tools/call", {"name": "test_simple_text", "arguments": {}}),
    "an image": ("tools/call", {"name": "test_image_content", "arguments": {}}),
    "an error of a tool": ("tools/call", {"name": "test_error_handling", "arguments": {}}),
    "a resource": ("resources/read", {"uri": "test://static-text"}),
    "a prompt": ("prompts/get", {"name": "test_simple_prompt"}),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fronts.Front]:
    with fronts.oracle(tmp_path_factory.mktemp("served")) as front:
        yield front


@pytest.fixture(scope="module")
def helped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Helper]:
    command = children.python("tests.support.conformance", "--stdio")
    with children.helper(tmp_path_factory.mktemp("helped"), command) as helper:
        yield helper


def made(
    kind: str, front: fronts.Front, helper: Helper, isolation: str = "PerPrincipal"
) -> Backend:
    if kind == "fake":
        return FakeBackend(work=_directly)
    if kind == "python":
        return PythonBackend("main", fronts.FIXTURE)
    if kind == "remote":
        url = f"http://127.0.0.1:{front.port}/mcp"
        said = {"url": url, "insecurePlainHttp": True, "addresses": ["127.0.0.1"]}
        elsewhere = Remote.model_validate({**said, "isolation": isolation})
        return remote.backend("main", elsewhere, Path("/"))
    http, stdio = {"http": {"port": front.port}}, {"stdio": {"socket": str(helper.socket)}}
    told = {**(http if kind == "http" else stdio), "isolation": isolation}
    settings = Settings.model_validate(told)
    return container.backend("main", settings, Path("/"), container.Pod())


async def _directly(asked: Call) -> bytes:
    """Answer as the SDK's client does that asks the server in this process."""
    if asked.method == "initialize":
        return orjson.dumps({"protocolVersion": OLDER})
    if (asked.params or {}).get("uri") == "test://nothing":
        raise RpcError(INVALID_PARAMS, "Unknown resource")
    async with Client(mcp, mode=MODERN if asked.version == MODERN else "legacy") as client:
        return orjson.dumps(await oracle(client, asked.method, asked.params or {}))


async def _never(_: Call) -> bytes:
    await asyncio.Event().wait()
    return b""


@pytest.fixture(params=KINDS)
async def backend(
    request: pytest.FixtureRequest, served: fronts.Front, helped: Helper
) -> AsyncIterator[Backend]:
    async with running(made(request.param, served, helped)) as one:
        yield one


@asynccontextmanager
async def running(one: Backend) -> AsyncIterator[Backend]:
    """Keep a backend running in a task of its own: fixtures end in another one than they began."""
    ready, over = asyncio.Event(), asyncio.Event()

    async def keep() -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(one.running())
            await containers.eventually(lambda: one.fault is None, seconds=60)
            ready.set()
            await over.wait()

    keeping = asyncio.ensure_future(keep())
    await asyncio.wait(
        {keeping, asyncio.ensure_future(ready.wait())}, return_when=asyncio.FIRST_COMPLETED
    )
    if keeping.done():
        await keeping
    try:
        yield one
    finally:
        over.set()
        await keeping


async def oracle(client: Client, method: str, params: dict[str, Any]) -> Any:
    """Ask by the SDK's client.

    Raises:
        RpcError: The server answered with an error.
    """
    given = {name: value for name, value in params.items() if name != "_meta"}
    ways: dict[str, Callable[..., Awaitable[Any]]] = {
        "tools/list": client.list_tools,
        "resources/list": client.list_resources,
        "resources/templates/list": client.list_resource_templates,
        "prompts/list": client.list_prompts,
        "tools/call": client.call_tool,
        "resources/read": client.read_resource,
        "prompts/get": client.get_prompt,
    }
    try:
        result = await ways[method](**given)
    except MCPError as error:
        raise RpcError(error.error.code, error.error.message) from error
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


def bare(result: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what the eras add."""
    added = {"_meta", "resultType", "ttlMs", "cacheScope"}
    return {name: value for name, value in result.items() if name not in added}


@pytest.mark.requirement("A1", "A5")
@pytest.mark.parametrize("version", [OLDER, MODERN])
@pytest.mark.parametrize("what", ASKED)
async def test_it_answers_as_the_server_itself_does(
    backend: Backend, served: fronts.Front, what: str, version: str
) -> None:
    method, params = ASKED[what]
    mode = MODERN if version == MODERN else "legacy"
    async with Client(served.url, mode=mode) as client:
        expected = await oracle(client, method, params)

    result = orjson.loads(await backend.answer(call(method, params, version=version)))

    assert bare(result) == bare(expected)


@pytest.mark.parametrize("version", [OLDER, MODERN])
async def test_what_there_is_not_is_an_error_of_the_specification(
    backend: Backend, version: str
) -> None:
    with pytest.raises(RpcError) as failed:
        await backend.answer(call("resources/read", {"uri": "test://nothing"}, version=version))

    assert failed.value.code in {-32002, -32602}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "test_simple_text", "arguments": {}, "_meta": "x"}),
        ("tools/call", {"name": "test_simple_text", "arguments": {}, "_meta": [1]}),
        ("tools/call", {"name": "test_simple_text", "_meta": {"progressToken": {}}}),
        ("tools/call", {"name": {}, "arguments": []}),
        ("tools/call", {"arguments": 7}),
        ("tools/list", {"_meta": 7}),
        ("tools/list", {"cursor": {}}),
        ("resources/read", {"uri": None, "_meta": False}),
        ("prompts/get", {"name": [], "arguments": "x"}),
        ("completion/complete", {"ref": "x", "argument": 1}),
        ("logging/setLevel", {"level": 1}),
    ],
)
async def test_parameters_of_another_type_are_the_callers_fault(
    backend: Backend, method: str, params: dict[str, Any]
) -> None:
    if isinstance(backend, FakeBackend):
        backend.work = FakeBackend().work
    # Some servers take what others refuse; nobody fails.
    with suppress(RpcError):
        assert orjson.loads(await backend.answer(call(method, params, version=OLDER))) is not None


async def test_it_knows_its_tools(backend: Backend) -> None:
    if isinstance(backend, FakeBackend):
        backend.tools = {"test_simple_text"}
        backend.schemas = {"test_simple_text": {"type": "object"}}

    schema = backend.input_schema("test_simple_text")

    assert backend.has_tool("test_simple_text")
    assert not backend.has_tool("test_nothing")
    assert schema is not None
    assert schema["type"] == "object"
    assert backend.input_schema("test_simple_text") is schema
    assert backend.input_schema("test_nothing") is None


async def test_many_are_answered_at_once(backend: Backend) -> None:
    asked = [
        call("tools/call", {"name": "test_simple_text", "arguments": {}}, by=f"p{number % 3}")
        for number in range(30)
    ]

    answers = await asyncio.gather(*map(backend.answer, asked))

    assert {orjson.loads(each)["content"][0]["type"] for each in answers} == {"text"}


@pytest.mark.requirement("A4")
async def test_a_call_can_be_given_up_and_the_next_one_is_answered(backend: Backend) -> None:
    long = call("tools/call", {"name": "test_tool_with_progress", "arguments": {}})
    if isinstance(backend, FakeBackend):
        backend.work = _never
    asking = asyncio.ensure_future(backend.answer(long))
    await asyncio.sleep(0)
    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking
    method, params = ASKED["text"]
    if isinstance(backend, FakeBackend):
        backend.work = _directly
    assert await backend.answer(call(method, params))


async def test_a_session_begins_and_ends(backend: Backend) -> None:
    peer = backend.connect("one", Notes())
    greeting = call("initialize", {"protocolVersion": OLDER, "capabilities": {}, "clientInfo": ME})
    asked = call("tools/call", {"name": "test_simple_text", "arguments": {}})
    greeting.peer = asked.peer = peer

    assert orjson.loads(await backend.answer(greeting))["protocolVersion"] == OLDER
    assert await backend.answer(asked)
    await peer.close()


async def test_it_says_how_it_is(backend: Backend) -> None:
    assert backend.fault is None
    assert list(backend.findings) == []
    assert backend.lost_threads == 0
    assert all(use.used <= use.open <= use.limit for use in backend.pools.values())


@pytest.mark.requirement("G7")
@pytest.mark.parametrize("kind", ["stdio", "http", "remote"])
async def test_a_changed_list_of_tools_is_read_again(
    served: fronts.Front, helped: Helper, kind: str
) -> None:
    one = made(kind, served, helped, "Shared")
    assert isinstance(one, ContainerBackend)
    async with running(one):
        one._description._tools = {}
        trigger = {"name": "test_trigger_tool_change", "arguments": {}}

        async def changed() -> bool:
            await one.answer(call("tools/call", trigger, by="", version=MODERN))
            return one.has_tool("test_simple_text")

        async with asyncio.timeout(20):
            while not await changed():  # noqa: ASYNC110 - in another process
                await asyncio.sleep(0.1)
