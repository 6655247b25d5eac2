"""Valid requests, as bytes: what attacks begin with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.rig.target import KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
BOTH = "application/json, text/event-stream"


def http(
    method: str, path: str, headers: Mapping[str, str], body: bytes | None = None, host: str = "x"
) -> bytes:
    """Make an HTTP request."""
    length = {} if body is None else {"content-length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in {**headers, **length}.items())
    return f"{method} {path} HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n".encode() + (body or b"")


def rpc(method: str, params: Mapping[str, Any] | None = None, number: object = 1) -> dict[str, Any]:
    """Make a JSON-RPC request; without a number, a notification."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if number is not None:
        message["id"] = number
    return message if params is None else message | {"params": dict(params)}


def use(tool: str, arguments: Mapping[str, Any], *, progress: object = None) -> dict[str, Any]:
    """Make the parameters of a call."""
    meta = {} if progress is None else {"_meta": {"progressToken": progress}}
    return {"name": tool, "arguments": dict(arguments), **meta}


@dataclass(frozen=True)
class Speaker:
    """A client of one revision of MCP at `/mcp`."""

    version: str
    session: str | None = None
    key: str | None = KEY

    @property
    def modern(self) -> bool:
        """Whether its requests stand for themselves."""
        return self.version == MODERN

    def headers(self, method: str = "", name: str = "") -> dict[str, str]:
        """Make the headers of a POST."""
        headers = {"content-type": "application/json", "accept": BOTH}
        headers["mcp-protocol-version"] = self.version
        if self.key is not None:
            headers["x-api-key"] = self.key
        if self.session is not None:
            headers["mcp-session-id"] = self.session
        if self.modern:
            headers["mcp-method"] = method
            headers |= {"mcp-name": name} if name else {}
        return headers

    def post(
        self, method: str, params: Mapping[str, Any] | None = None, number: object = 1
    ) -> bytes:
        """Make a POST with one message."""
        content = dict(params or {})
        if self.modern:
            content["_meta"] = META | content.get("_meta", {})
        named = content.get("name", content.get("uri", ""))
        body = json.dumps(rpc(method, content, number)).encode()
        return http("POST", "/mcp", self.headers(method, str(named)), body)

    def call(self, tool: str, number: object = 1, progress: object = None, **args: object) -> bytes:
        """Make a POST with a call of a tool."""
        return self.post("tools/call", use(tool, args, progress=progress), number)

    def batch(self, *messages: dict[str, Any]) -> bytes:
        """Make a POST with several messages."""
        return http("POST", "/mcp", self.headers(), json.dumps(messages).encode())

    def initialize(self, capabilities: Mapping[str, Any] | None = None) -> bytes:
        """Make the first POST of an older client; with capabilities it gets a session."""
        return self.post(
            "initialize",
            {
                "protocolVersion": self.version,
                "capabilities": dict(capabilities or {}),
                "clientInfo": {"name": "rig", "version": "1"},
            },
        )

    def get(self, **headers: str) -> bytes:
        """Make the GET of a session's stream."""
        return http("GET", "/mcp", self.headers() | {"accept": "text/event-stream"} | headers)

    def delete(self) -> bytes:
        """Make the DELETE of a session."""
        return http("DELETE", "/mcp", self.headers())
