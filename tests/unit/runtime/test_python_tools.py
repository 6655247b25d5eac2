"""A tool that is called directly answers what the SDK's own kernel would have answered."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import anyio
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp.server import MCPServer
from mcp.server.mcpserver import Context, Image
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequiredResult,
    TextContent,
)
from pydantic import BaseModel, Field

from breakwater_runtime.backends.nowhere import Nowhere
from breakwater_runtime.backends.python import PythonBackend
from breakwater_runtime.backends.threads import Threads
from breakwater_runtime.calls import Call, Principal, RpcError

VERSIONS = ["2026-07-28", "2025-11-25", "2025-03-26"]


class Place(BaseModel):
    name: str = Field(alias="placeName")
    where: tuple[float, float] | None = None


class Row(TypedDict):
    a: int
    b: str


@dataclass
class Point:
    x: int
    y: int = 0


def text(text: str) -> str:
    return text


async def text_later(text: str, times: int = 1) -> str:
    await asyncio.sleep(0)
    return text * min(times, 3)


async def short(text: str) -> Annotated[str, Field(max_length=3)]:
    return text


async def untyped(value, other=None):  # type: ignore[no-untyped-def] # it is what it is about
    return value


async def number(value: float, exact: int) -> float:
    return value + exact


async def maybe(flag: bool = False) -> int | None:
    return 7 if flag else None


async def several(items: list[int], more: dict[str, list[str]] | None = None) -> list[int]:
    return items


async def mapping(items: dict[str, int]) -> dict[str, int]:
    return items


async def place(place: Place) -> Place:
    return place


async def row(a: int, b: str) -> Row:
    return {"a": a, "b": b}


async def point(x: int) -> Point:
    return Point(x)


async def shadowing(copy: int, json: str, validate: list[str] | None = None) -> str:
    return f"{copy}{json}{validate}"


async def nothing() -> None:
    return None


async def image() -> Image:
    return Image(data=b"x", format="png")


async def blocks(text: str) -> list[TextContent | str]:
    return [TextContent(type="text", text=text), text]


async def result(text: str) -> CallToolResult:
    return CallToolResult(content=[], structured_content={"a": text, "b": None}, _meta={"c": 1})


async def checked(count: int) -> Annotated[CallToolResult, Row]:
    return CallToolResult(content=[], structured_content={"a": count})


async def broken_result() -> int:
    return "no number"  # type: ignore[return-value] # it is what it is about


async def refuses(text: str) -> str:
    raise ToolError(text)


async def crashes(text: str) -> str:
    raise ValueError(text)


async def protocol_error(code: int) -> str:
    raise MCPError(code % 1000, "no", {"code": code})


async def asks_again() -> Any:
    asked = ElicitRequestFormParams(message="?", requested_schema={"type": "object"})
    return InputRequiredResult(
        input_requests={"a": ElicitRequest(params=asked)}, request_state="secret"
    )


async def knows(ctx: Context[Any], text: str) -> str:
    meta = ctx.request_context.meta
    return (
        f"{text} {ctx.request_id} {ctx.protocol_version} {meta} {ctx.client_capabilities} "
        f"{ctx.request_state} {ctx.request_context.method} {ctx.session.can_send_request} "
        f"{ctx.request_context.lifespan_context}"
    )


def from_thread(text: str) -> str:
    async def inside() -> str:
        return text

    return anyio.from_thread.run(inside)


TOOLS: list[Callable[..., Any]] = [
    *(text, text_later, short, untyped, number, maybe, several, mapping, place, row, point),
    *(shadowing, nothing, image, blocks, result, checked, broken_result, refuses, crashes),
    *(protocol_error, asks_again, knows, from_thread),
]

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["1", "[1, 2]", '{"a": 1}', '{"placeName": "x"}', "true", "null", '"x"'])
)
values = (
    scalars
    | st.lists(scalars, max_size=3)
    | st.dictionaries(st.sampled_from(["a", "b", "placeName", "where"]), scalars, max_size=3)
)
names = (
    *("text", "times", "value", "other", "exact", "flag", "items", "more", "place", "a", "b"),
    *("x", "copy", "json", "validate", "count", "code", "unknown"),
)
METAS: list[dict[str, Any]] = [
    {},
    {"progressToken": 1},
    {"progressToken": True},
    {"traceparent": "x"},
    {"io.modelcontextprotocol/logLevel": "info"},
    {"io.modelcontextprotocol/logLevel": "loud"},
    {"io.modelcontextprotocol/clientInfo": {"name": "c", "version": "1"}},
    {"io.modelcontextprotocol/clientInfo": {"name": 7}},
    {"io.modelcontextprotocol/clientCapabilities": {"sampling": {}}},
    {"io.modelcontextprotocol/clientCapabilities": []},
]


@pytest.fixture(scope="module")
def server() -> MCPServer:
    made = MCPServer("compared", version="1.2")
    for tool in TOOLS:
        made.add_tool(tool)
    return made


@pytest.fixture(scope="module")
def backend(server: MCPServer) -> PythonBackend:
    return PythonBackend("main", server)


def call(tool: str, version: str, arguments: Any, meta: dict[str, Any] | None = None) -> Call:
    params: dict[str, Any] = {"name": tool, "arguments": arguments}
    if version == VERSIONS[0]:
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientCapabilities": {},
        } | (meta or {})
    elif meta:
        params["_meta"] = meta
    scope = {"type": "http", "headers": []}
    return Call("tools/call", params, 7, version, Principal("alice"), scope, Nowhere())


async def answered(backend: PythonBackend, call: Call, *, directly: bool) -> Any:
    try:
        if directly:
            answer = orjson.loads(await backend.answer(call))
        else:
            answer = orjson.loads(await backend.answer_by_kernel(call))
    except RpcError as error:
        return error.code, error.message, error.data
    if "requestState" in answer:
        answer["requestState"] = "sealed"
    return answer


@settings(
    max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    tool=st.sampled_from([tool.__name__ for tool in TOOLS] + ["unknown"]),
    version=st.sampled_from(VERSIONS),
    arguments=st.dictionaries(st.sampled_from(names), values, max_size=4) | st.none() | scalars,
    meta=st.sampled_from(METAS),
)
def test_a_call_means_what_it_means_to_the_sdk(
    backend: PythonBackend, tool: str, version: str, arguments: Any, meta: dict[str, Any]
) -> None:
    async def compared() -> tuple[Any, Any]:
        async with backend.running():
            made = call(tool, version, arguments, meta)
            return (
                await answered(backend, made, directly=True),
                await answered(backend, made, directly=False),
            )

    directly, by_kernel = asyncio.run(compared())

    assert directly == by_kernel


GOOD: dict[str, dict[str, Any]] = {
    "text": {"text": 'ä\u2028"\\'},
    "text_later": {"text": "a", "times": 2},
    "short": {"text": "much too long"},
    "untyped": {"value": {"a": [1, None]}},
    "number": {"value": 1.5, "exact": "2"},
    "maybe": {"flag": True},
    "several": {"items": "[1, 2]"},
    "mapping": {"items": {"a": 1}},
    "place": {"place": '{"placeName": "x", "where": [1, 2]}'},
    "row": {"a": 1, "b": "x"},
    "point": {"x": 1},
    "shadowing": {"copy": 1, "json": "[]", "validate": '["a"]'},
    "result": {"text": "x"},
    "checked": {"count": 1},
    "blocks": {"text": "x"},
    "refuses": {"text": "no"},
    "crashes": {"text": "secret"},
    "protocol_error": {"code": 7},
    "knows": {"text": "x"},
    "from_thread": {"text": "x"},
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("tool", [tool.__name__ for tool in TOOLS])
async def test_every_tool_is_called_directly_and_answers_the_same(
    backend: PythonBackend, tool: str, version: str
) -> None:
    async with backend.running():
        made = call(tool, version, GOOD.get(tool, {}), {"progressToken": "p"})
        assert backend.calls_directly(made)
        directly = await answered(backend, made, directly=True)
        by_kernel = await answered(backend, made, directly=False)

    assert directly == by_kernel


async def test_a_tool_that_changes_is_called_as_it_is_now() -> None:
    server = MCPServer("changing")
    server.add_tool(text, name="tool")
    backend = PythonBackend("main", server)

    async def asked() -> Any:
        answer = await answered(backend, call("tool", VERSIONS[0], {"text": "x"}), directly=True)
        return answer["content"][0]["text"]

    async with backend.running():
        before = await asked()
        server.remove_tool("tool")
        gone = await asked()
        server.add_tool(refuses, name="tool")
        after = await asked()

    assert (before, gone) == ("x", "Unknown tool: tool")
    assert after == "Error executing tool tool: x"


async def passes(ctx: Any, call_next: Any) -> Any:
    return await call_next(ctx)


class Overriding(MCPServer):
    async def call_tool(self, *_: Any) -> Any:
        return CallToolResult(content=[TextContent(type="text", text="mine")])


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(MCPServer("a", middleware=[passes]), id="middleware"),
        pytest.param(Overriding("b"), id="subclass"),
    ],
)
async def test_a_server_with_its_own_way_is_called_that_way(server: MCPServer) -> None:
    server.add_tool(text)
    backend = PythonBackend("main", server)

    async with backend.running():
        assert not backend.calls_directly(call("text", VERSIONS[0], {"text": "x"}))
        await backend.answer(call("text", VERSIONS[0], {"text": "x"}))


async def test_middleware_that_comes_later_is_seen() -> None:
    server = MCPServer("a")
    server.add_tool(text)
    backend = PythonBackend("main", server)

    async with backend.running():
        made = call("text", VERSIONS[0], {"text": "x"})
        before = backend.calls_directly(made)
        server.middleware.append(passes)

        assert (before, backend.calls_directly(made)) == (True, False)


# Threads


async def test_a_thread_nobody_waits_for_is_counted_and_asked_to_stop() -> None:
    threads, begun, stopped = Threads(limit=1), threading.Event(), threading.Event()

    def works() -> None:
        begun.set()
        try:
            while True:
                anyio.from_thread.check_cancelled()
        finally:
            stopped.set()

    waiting = asyncio.ensure_future(threads.run(works, {}))
    await asyncio.to_thread(begun.wait, 5)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert threads.lost == 1
    assert await asyncio.to_thread(stopped.wait, 5)
    assert await threads.run(lambda: 7, {}) == 7
    assert threads.lost == 0


async def test_one_that_does_not_stop_holds_nobody_up() -> None:
    threads, begun, release = Threads(limit=1), threading.Event(), threading.Event()

    def stuck() -> None:
        begun.set()
        release.wait()

    waiting = asyncio.ensure_future(threads.run(stuck, {}))
    await asyncio.to_thread(begun.wait, 5)
    queued = asyncio.ensure_future(threads.run(lambda: "never", {}))
    await asyncio.sleep(0)
    queued.cancel()
    waiting.cancel()
    await asyncio.gather(waiting, queued, return_exceptions=True)

    assert await asyncio.wait_for(threads.run(lambda: 7, {}), 5) == 7
    release.set()


async def test_what_a_thread_raises_is_raised() -> None:
    def stops() -> None:
        raise StopIteration

    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await Threads().run(fails, {})
    with pytest.raises(RuntimeError):
        await Threads().run(stops, {})


async def test_many_wait_for_their_turn() -> None:
    threads, at_once, most, lock = Threads(limit=3), 0, 0, threading.Lock()

    def work(number: int) -> int:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        with lock:
            at_once -= 1
        return number

    answers = await asyncio.gather(*(threads.run(work, {"number": n}) for n in range(100)))

    assert answers == list(range(100))
    assert most <= 3


@pytest.mark.parametrize("directly", [True, False])
@pytest.mark.parametrize(
    ("tool", "arguments", "outcome"),
    [
        ("text", {"text": "x"}, "ok"),
        ("text", {}, "caller_error"),
        ("refuses", {"text": "x"}, "caller_error"),
        ("crashes", {"text": "x"}, "server_error"),
        ("broken_result", {}, "server_error"),
    ],
)
async def test_a_crash_is_the_server_s_fault(
    backend: PythonBackend, tool: str, arguments: dict[str, Any], outcome: str, directly: bool
) -> None:
    made = call(tool, VERSIONS[0], arguments)

    async with backend.running():
        await answered(backend, made, directly=directly)

    assert made.outcome == outcome
