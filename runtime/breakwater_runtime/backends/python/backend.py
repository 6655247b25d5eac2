"""One MCPServer object: answered by the SDK's own kernel, on our transport."""

import logging
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from mcp.server.connection import Connection
from mcp.server.mcpserver import MCPServer
from mcp.server.runner import ServerRunner, aclose_shielded
from mcp.server.subscriptions import ListenHandler
from mcp.shared.inbound import validate_mcp_param_headers, x_mcp_header_map

from breakwater_runtime.backends.backend import Deliver, Finding, PoolUse, Subscription
from breakwater_runtime.backends.python import envelopes, lifespan, request_state
from breakwater_runtime.backends.python.exchange import Outbound
from breakwater_runtime.backends.python.kernel import Kernel
from breakwater_runtime.backends.python.listening import LISTEN, Listening
from breakwater_runtime.backends.python.lists import Lists
from breakwater_runtime.backends.python.loading import load
from breakwater_runtime.backends.python.results import TOOLS_CALL
from breakwater_runtime.backends.python.tools import Tools
from breakwater_runtime.backends.threads import Threads
from breakwater_runtime.calls import Call, Channel, Peer
from breakwater_runtime.sealing import Ring

logger = logging.getLogger(__name__)

ASKING = ("sampling", "elicitation", "roots")
"""The capabilities of clients that can be asked something."""

KEEPING = ("logging/setLevel", "resources/subscribe")
"""The methods whose effect lasts beyond their answer."""


class PythonPeer:
    """The SDK's side of one session."""

    def __init__(self, runner: ServerRunner[Any]) -> None:
        """Keep what the SDK keeps of a client."""
        self.runner = runner

    async def close(self) -> None:
        """Run what the server wanted to be run at the session's end."""
        await aclose_shielded(self.runner.connection)


class PythonBackend:
    """Serves one MCPServer object."""

    def __init__(
        self, name: str, server: MCPServer | str, ring: Callable[[], Ring] | None = None
    ) -> None:
        """Serve an object that is there, or the one that an entry point names.

        With a `ring`, every process that has it takes what the server seals.

        Raises:
            StartError: There is no such object, or it is something else.
        """
        where = f"backends[{name}].python.server"
        mcp = load(server, where) if isinstance(server, str) else server
        if ring is not None:
            request_state.share(mcp, ring)
        self.name = name
        self._mcp = mcp
        self._server = self._mcp._lowlevel_server
        self._kernel = Kernel(self._server)
        known = envelopes.Envelopes()
        self._threads = Threads()
        self._tools = Tools(self._mcp, self._threads, known)
        self._lists = Lists(self._mcp, known)
        self._listening = Listening(self._mcp)
        self._declaring: dict[str, tuple[dict[str, Any] | None, bool]] = {}
        self._lifespan: Any = None
        self._running = False

    @property
    def fault(self) -> str | None:
        """Why it cannot answer now; None: it can."""
        return None if self._running else "its lifespan has not started"

    @property
    def findings(self) -> Sequence[Finding]:
        """Nothing: what is wrong with code in this process is wrong with this process."""
        return ()

    def running(self) -> AbstractAsyncContextManager[None]:
        """Enter the server's lifespan, and leave it at the end."""
        return lifespan.entered(self._server, self._start, self._stop)

    def _start(self, state: Any) -> None:
        self._lifespan, self._running = state, True
        self._kernel.state = state
        self._tools.start(state)

    def _stop(self) -> None:
        self._running = False

    async def answer(self, call: Call) -> bytes:
        """Call a tool directly where that is the same; else let the SDK's kernel answer.

        Raises:
            RpcError: There is no result.
        """
        client = call.peer.runner.connection if isinstance(call.peer, PythonPeer) else None
        if client is None or client.initialize_accepted:
            if call.method == TOOLS_CALL and (tool := self._tools.find(call)) is not None:
                return await self._tools.call(tool, call, client)
            if self._tools.has_no_middleware and self._lists.covers(call):
                return await self._list(call)
        return await self.answer_by_kernel(call)

    async def _list(self, call: Call) -> bytes:
        kept = self._lists.get(call)
        if kept is None:
            kept = await self.answer_by_kernel(call)
            self._lists.keep(call, kept)
        return kept

    def calls_directly(self, call: Call) -> bool:
        """Say whether a call of a tool does without the SDK's kernel."""
        return self._tools.find(call) is not None

    def answer_by_kernel(self, call: Call) -> Coroutine[Any, Any, bytes]:
        """Let the SDK's kernel answer.

        Raises:
            RpcError: There is no result.
        """
        return self._kernel.answer(self._runner(call), call)

    def _runner(self, call: Call) -> ServerRunner[Any] | None:
        return call.peer.runner if isinstance(call.peer, PythonPeer) else None

    def listen(self, call: Call, deliver: Deliver) -> Subscription | None:
        """Listen to the server's bus; None: the server has its own way, or a word to say."""
        return self._listening.open(call, deliver) if self._tools.has_no_middleware else None

    def note(self, call: Call) -> Coroutine[Any, Any, None]:
        """Let the SDK's kernel take a notification."""
        return self._kernel.note(self._runner(call), call)

    def has_tool(self, name: str) -> bool:
        """Say whether there is a tool of this name."""
        return self._mcp._tool_manager.get_tool(name) is not None

    @property
    def tools(self) -> Collection[str]:
        """The names of the tools that there are."""
        return self._mcp._tool_manager._tools.keys()

    def may_have_tool(self, name: str) -> bool:
        """Say whether there is a tool of this name: it is always known."""
        return self.has_tool(name)

    @property
    def lost_threads(self) -> int:
        """How many synchronous tools go on although nobody waits for them."""
        return self._threads.lost

    @property
    def pools(self) -> Mapping[str, PoolUse]:
        """How many threads of synchronous tools are at work."""
        return {"threads": self._threads.use}

    def input_schema(self, tool: str) -> Mapping[str, Any] | None:
        """Get the schema of a tool's arguments."""
        found = self._mcp._tool_manager.get_tool(tool)
        return None if found is None else found.parameters

    def declares_headers(self, tool: str) -> bool:
        """Say whether a tool has arguments that clients repeat as `Mcp-Param-*`."""
        found = self._mcp._tool_manager.get_tool(tool)
        if found is None:
            return False
        schema, declares = self._declaring.get(tool, (None, False))
        if schema is not found.parameters:
            schema, declares = found.parameters, bool(x_mcp_header_map(found.parameters))
            self._declaring[tool] = (schema, declares)
        return declares

    def mismatch(self, call: Call, headers: Sequence[tuple[str, str]]) -> str | None:
        """Say which `Mcp-Param-*` header does not agree with the tool's arguments; None: all do."""
        params = call.params or {}
        arguments = params.get("arguments")
        tool = self._mcp._tool_manager.get_tool(str(params.get("name")))
        if tool is None or not isinstance(arguments, dict | None):
            return None
        rejection = validate_mcp_param_headers(tool.parameters, arguments or {}, _Pairs(headers))
        return None if rejection is None else rejection.message

    def needs_session(self, capabilities: Mapping[str, Any]) -> bool:
        """Say whether an older client with these capabilities could miss something without one.

        It could if the server keeps something for it, or if its code can ask something: what never
        sees a Context cannot.
        """
        if any(self._server.get_request_handler(method) for method in KEEPING):
            return True
        return any(name in capabilities for name in ASKING) and self._can_ask()

    def _can_ask(self) -> bool:
        mcp = self._mcp
        tools = any(
            tool.context_kwarg or tool.resolved_params for tool in mcp._tool_manager.list_tools()
        )
        prompts = any(prompt.context_kwarg for prompt in mcp._prompt_manager.list_prompts())
        templates = any(
            template.context_kwarg for template in mcp._resource_manager.list_templates()
        )
        return tools or prompts or templates

    def connect(self, session_id: str, channel: Channel) -> Peer:
        """Begin a session of an older client."""
        connection = Connection.for_loop(Outbound(channel), session_id=session_id)
        return PythonPeer(ServerRunner(self._server, connection, self._lifespan))

    def end_streams(self) -> None:
        """Close every `subscriptions/listen`, which the SDK leaves open for ever."""
        entry = self._server.get_request_handler(LISTEN)
        if entry is not None and isinstance(entry.handler, ListenHandler):
            entry.handler.close()


class _Pairs(dict[str, str]):
    """Headers as the SDK's check wants them, with one name twice where it was sent twice."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self._pairs = pairs

    def items(self) -> Any:
        return self._pairs
