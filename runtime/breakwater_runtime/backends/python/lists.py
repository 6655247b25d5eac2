"""Answers that are the same for everybody: kept as they were sent, until what they tell changes."""

from typing import Any

from mcp.server.lowlevel.server import Server
from mcp.server.mcpserver import MCPServer

from breakwater_runtime.backends.python.envelopes import Envelopes
from breakwater_runtime.calls import Call

TOOLS_LIST = "tools/list"
DISCOVER = "server/discover"
MADE_BY = {TOOLS_LIST: MCPServer._handle_list_tools, DISCOVER: Server._handle_discover}
"""The handlers whose answers depend on the server alone."""


class Lists:
    """Keeps the list of tools and what the server says of itself."""

    def __init__(self, mcp: MCPServer, envelopes: Envelopes) -> None:
        """Keep them for `mcp`."""
        self._mcp = mcp
        self._server = mcp._lowlevel_server
        self._envelopes = envelopes
        self._kept: dict[tuple[str, str], tuple[Any, bytes]] = {}
        lists_itself = type(mcp).list_tools is MCPServer.list_tools and "list_tools" not in vars(
            mcp
        )
        self._methods = {TOOLS_LIST, DISCOVER} if lists_itself else {DISCOVER}

    def covers(self, call: Call) -> bool:
        """Say whether the answer to a call is one of them."""
        if call.method not in self._methods:
            return False
        entry = self._server.get_request_handler(call.method)
        handler = getattr(entry.handler, "__func__", None) if entry is not None else None
        return handler is MADE_BY[call.method] and self._envelopes.accepts_nothing_else(
            call.version, call.params
        )

    def get(self, call: Call) -> bytes | None:
        """Get the answer; None: there is none yet, or it told what has changed since."""
        state, answer = self._kept.get((call.method, call.version), (None, None))
        return answer if answer is not None and state == self._state(call.method) else None

    def keep(self, call: Call, answer: bytes) -> None:
        """Keep an answer that the kernel has made now."""
        self._kept[call.method, call.version] = (self._state(call.method), answer)

    def _state(self, method: str) -> Any:
        """Describe what an answer tells; a schema that is changed in its place goes unseen."""
        hint = self._server.cache_hints.get(method)
        if method == DISCOVER:
            server = self._server
            return (
                hint,
                server.instructions,
                tuple(server._request_handlers),
                dict(server.extensions),
            )
        return hint, [
            (
                tool.name,
                tool.title,
                tool.description,
                tool.parameters,
                tool.output_schema,
                tool.annotations,
                tool.icons,
                tool.meta,
            )
            for tool in self._mcp._tool_manager._tools.values()
        ]
