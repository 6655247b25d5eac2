"""Requests as bytes: the heads that Streamable HTTP wants in each era."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from breakwater_contract.mcp import (
    MCP_METHOD_HEADER,
    MCP_NAME_HEADER,
    MCP_PROTOCOL_VERSION_HEADER,
    NAME_BEARING_METHODS,
)
from breakwater_runtime.backends.codec import param_headers
from breakwater_runtime.backends.codec.http.connections import Connections
from breakwater_runtime.calls import Call
from breakwater_runtime.resilience.answer_room import AnswerRoom

SESSION_HEADER = "mcp-session-id"
LAST_EVENT_HEADER = "last-event-id"

JSON_ACCEPTED = {
    "accept": "application/json, text/event-stream",
    "content-type": "application/json",
}
STREAM_ACCEPTED = {"accept": "text/event-stream"}

Credentials = Callable[[Call | None], Awaitable[Mapping[str, str]]]
"""Makes the headers that say who asks, for a call or for ourselves. Raises RpcError."""

ParamHeaders = Callable[[str, Mapping[str, Any]], Mapping[str, str]]
"""Makes the `Mcp-Param-*` headers of a tool's arguments."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is asked."""

    host: str
    """What `Host` says."""
    path: str
    connections: Connections
    room: AnswerRoom
    """Where large answers find room."""
    credentials: Credentials | None = None
    param_headers: ParamHeaders | None = None

    def post(self, headers: Mapping[str, str], body: bytes) -> bytes:
        """Make a POST."""
        head = self._head("POST", {**JSON_ACCEPTED, **headers, "content-length": str(len(body))})
        return head + body

    def get(self, headers: Mapping[str, str]) -> bytes:
        """Make the GET of a stream of events."""
        return self._head("GET", {**STREAM_ACCEPTED, **headers})

    def delete(self, headers: Mapping[str, str]) -> bytes:
        """Make the DELETE of a session."""
        return self._head("DELETE", headers)

    def _head(self, verb: str, headers: Mapping[str, str]) -> bytes:
        lines = [f"{verb} {self.path} HTTP/1.1", f"host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join((*lines, "", "")).encode("latin-1", "replace")

    def routing(
        self, method: str, params: Mapping[str, Any] | None, version: str
    ) -> dict[str, str]:
        """Repeat of a request of 2026-07-28 what its headers have to say of it."""
        headers = {MCP_PROTOCOL_VERSION_HEADER: version, MCP_METHOD_HEADER: method}
        member = NAME_BEARING_METHODS.get(method)
        name = (params or {}).get(member) if member is not None else None
        if not isinstance(name, str):
            return headers
        headers[MCP_NAME_HEADER] = param_headers.encoded(name)
        arguments = (params or {}).get("arguments")
        if method == "tools/call" and self.param_headers is not None:
            headers |= self.param_headers(name, arguments if isinstance(arguments, dict) else {})
        return headers
