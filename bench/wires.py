"""The same tool call as each kind of client sends it: whole HTTP requests."""

from __future__ import annotations

import http.client
import json
import socket
from typing import TYPE_CHECKING, Protocol

from bench.wrk import ID, ID_DIGITS, LoadError

if TYPE_CHECKING:
    from collections.abc import Mapping

MCP_PATH = "/mcp"
MODERN = "2026-07-28"
OLDER = "2025-11-25"

SESSIONS = 32
"""How many sessions clients of the older era share where the server has any."""

CLIENT = {"name": "bench", "version": "1"}
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
}
COMMON = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "User-Agent": "bench",
}
TEXT = f"number{ID}"
"""Sixteen characters that name the call."""


class Target(Protocol):
    """Where calls go."""

    @property
    def port(self) -> int:
        """The port, on the loopback address."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What every request needs there: the key."""


def modern(target: Target, tool: str, **meta: object) -> tuple[str, ...]:
    """Make the call of clients of 2026-07-28: no session, everything in the request."""
    params = {"name": tool, "arguments": {"text": TEXT}, "_meta": META | meta}
    headers = {**modern_headers("tools/call", target.headers), "Mcp-Name": tool}
    return (_request(target.port, headers, _message("tools/call", params)),)


def older(target: Target, tool: str, sessions: int = SESSIONS) -> tuple[str, ...]:
    """Make the call of clients before that: one per session, where the server has sessions."""
    opened = [open_session(target) for _ in range(sessions)]
    message = _message("tools/call", {"name": tool, "arguments": {"text": TEXT}})
    requests = dict.fromkeys(
        _request(target.port, _older_headers(target, session), message) for session in opened
    )
    return tuple(requests)


def modern_headers(method: str, headers: Mapping[str, str]) -> dict[str, str]:
    """Get what clients of 2026-07-28 send with any method."""
    return {**COMMON, "MCP-Protocol-Version": MODERN, "Mcp-Method": method, **headers}


def answer_type(target: Target, request: str, call_id: int) -> str:
    """Make one call and get the media type of its answer.

    Raises:
        LoadError: The server does not take the call.
    """
    with socket.create_connection(("127.0.0.1", target.port), timeout=10) as connection:
        connection.sendall(request.replace(ID, str(call_id)).encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        if answer.status != 200:
            raise LoadError(f"no call: {answer.status} {answer.read().decode(errors='replace')}")
        return answer.headers.get_content_type()


def _older_headers(target: Target, session: str | None) -> dict[str, str]:
    session_header = {"Mcp-Session-Id": session} if session else {}
    return {**COMMON, "MCP-Protocol-Version": OLDER, **session_header, **target.headers}


def _message(method: str, params: Mapping[str, object]) -> str:
    message = {"jsonrpc": "2.0", "id": ID, "method": method, "params": params}
    # A number in the request, for which ID stands without quotes.
    return json.dumps(message, separators=(",", ":")).replace(f'"id":"{ID}"', f'"id":{ID}')


def _request(port: int, headers: Mapping[str, str], body: str) -> str:
    length = len(body) + body.count(ID) * (ID_DIGITS - len(ID))
    lines = [
        f"POST {MCP_PATH} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        *(f"{name}: {value}" for name, value in headers.items()),
        f"Content-Length: {length}",
    ]
    return "\r\n".join(lines) + "\r\n\r\n" + body


def in_session(target: Target, tool: str, session: str) -> str:
    """Make the call of a client whose session may be another process's."""
    message = _message("tools/call", {"name": tool, "arguments": {"text": TEXT}})
    return _request(target.port, _older_headers(target, session), message)


def open_session(target: Target, **capabilities: object) -> str | None:
    """Introduce a client of the older era.

    Raises:
        LoadError: The server does not want it.
    """
    params = {"protocolVersion": OLDER, "capabilities": capabilities, "clientInfo": CLIENT}
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    session = _post(target, {**COMMON, **target.headers}, hello)
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    _post(target, _older_headers(target, session), ready)
    return session


def _post(target: Target, headers: Mapping[str, str], message: object) -> str | None:
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=10)
    try:
        connection.request("POST", MCP_PATH, json.dumps(message), dict(headers))
        answer = connection.getresponse()
        body = answer.read()
        if answer.status not in {200, 202}:
            raise LoadError(f"no session: {answer.status} {body.decode(errors='replace')}")
        return answer.getheader("mcp-session-id")
    finally:
        connection.close()
