from typing import Any

import orjson
import pytest
from mcp.server import MCPServer
from mcp.server.runner import ServerRunner

from breakwater_runtime.backends.nowhere import Nowhere
from breakwater_runtime.backends.python import PythonBackend
from breakwater_runtime.calls import Call, Principal, RpcError

MODERN, OLDER = "2026-07-28", "2025-11-25"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


def first(text: str) -> str:
    """The first."""
    return text


def second(number: int) -> int:
    return number


def call(method: str, version: str = MODERN, **params: Any) -> Call:
    if version == MODERN:
        params = {"_meta": META, **params}
    return Call(method, params, 1, version, Principal("alice"), {"type": "http"}, Nowhere())


@pytest.fixture
def server() -> MCPServer:
    made = MCPServer("listed", version="1")
    made.add_tool(first)
    return made


@pytest.fixture
def backend(server: MCPServer) -> PythonBackend:
    return PythonBackend("main", server)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods that the SDK's kernel was asked for."""
    by_kernel = ServerRunner._on_request

    async def counted(runner: ServerRunner[Any], exchange: Any, method: str, params: Any) -> Any:
        made.append(method)
        return await by_kernel(runner, exchange, method, params)

    made: list[str] = []
    monkeypatch.setattr(ServerRunner, "_on_request", counted)
    return made


@pytest.mark.parametrize(
    ("method", "version"),
    [("tools/list", MODERN), ("tools/list", OLDER), ("server/discover", MODERN)],
)
async def test_what_is_the_same_for_all_is_made_once(
    backend: PythonBackend, asked: list[str], method: str, version: str
) -> None:
    async with backend.running():
        answers = {await backend.answer(call(method, version)) for _ in range(3)}

    assert len(answers) == 1
    assert asked == [method]


async def test_each_change_is_told(backend: PythonBackend, server: MCPServer) -> None:
    async def listed() -> list[tuple[str, str]]:
        tools = orjson.loads(await backend.answer(call("tools/list")))["tools"]
        return [(tool["name"], tool["description"]) for tool in tools]

    async with backend.running():
        assert await listed() == [("first", "The first.")]
        server.add_tool(second, description="more")
        assert await listed() == [("first", "The first."), ("second", "more")]
        server._tool_manager._tools["second"].description = "less"
        assert await listed() == [("first", "The first."), ("second", "less")]
        server.remove_tool("first")
        assert await listed() == [("second", "less")]


async def test_capabilities_that_come_later_are_told(
    backend: PythonBackend, server: MCPServer
) -> None:
    async with backend.running():
        before = orjson.loads(await backend.answer(call("server/discover")))["capabilities"]

        @server.completion()  # type: ignore[no-untyped-call, untyped-decorator] # the SDK's
        async def complete(ref: object, argument: object, context: object) -> None:
            return None

        after = orjson.loads(await backend.answer(call("server/discover")))["capabilities"]

    assert ("completions" in before, "completions" in after) == (False, True)


async def test_a_list_that_depends_on_more_is_made_each_time() -> None:
    class Own(MCPServer):
        async def list_tools(self) -> list[Any]:
            return []

    server = Own("own")
    server.add_tool(first)
    backend = PythonBackend("main", server)

    async with backend.running():
        for _ in range(2):
            assert orjson.loads(await backend.answer(call("tools/list")))["tools"] == []
        with pytest.raises(RpcError):
            await backend.answer(call("tools/list", cursor=7))


@pytest.mark.requirement("G5")
@pytest.mark.parametrize("said", [2**64, [-(2**80)], {"roots": 2**64}, "\ud800"])
async def test_capabilities_that_are_none_are_the_callers_mistake(
    backend: PythonBackend, said: object
) -> None:
    meta = META | {"io.modelcontextprotocol/clientCapabilities": said}

    for method, params in {"tools/list": {}, "tools/call": {"name": "first"}}.items():
        with pytest.raises(RpcError) as refused:
            await backend.answer(call(method, _meta=meta, **params))
        assert refused.value.code == -32602
