"""Every endpoint of the public port, with valid requests to it: what is attacked everywhere.

A new endpoint comes into this table, and is fuzzed and asked with bad credentials from then on.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from breakwater_contract.names import (
    CAPABILITIES_PATH,
    MCP_PATH,
    MESSAGES_PATH,
    ONE_SHOT_PATH,
    RPC_PATH,
    SSE_PATH,
    TOOL_PATH,
    TOOLS_PATH,
)
from tests.support.rig.requests import BOTH, META, MODERN, Speaker, http, rpc, use

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OLDER = "2025-11-25"
BATCHES = "2025-03-26"
EVENTS, LINES = "text/event-stream", "application/x-ndjson"


def _mcp(key: str | None) -> list[bytes]:
    modern, older = Speaker(MODERN, key=key), Speaker(OLDER, key=key)
    batching = Speaker(BATCHES, key=key)
    in_session = Speaker(OLDER, session="0123456789abcdef", key=key)
    return [
        modern.post("server/discover"),
        modern.post("tools/list"),
        modern.post("resources/list"),
        modern.call("echo", text="hello"),
        modern.call("talk", progress="p", seconds=0),
        modern.call("large", size=10),
        modern.post("subscriptions/listen", {"notifications": {"toolsListChanged": True}}),
        modern.post("notifications/cancelled", {"requestId": 1}, number=None),
        older.initialize(),
        older.initialize({"sampling": {}}),
        older.post("tools/list"),
        older.post("ping"),
        older.call("echo", text="hello", number="a"),
        older.post("notifications/initialized", number=None),
        batching.batch(rpc("tools/list"), rpc("tools/call", use("echo", {"text": "b"}), 2)),
        in_session.call("echo", text="hello"),
        in_session.get(**{"last-event-id": "0-1"}),
        in_session.delete(),
    ]


def _headers(key: str | None, accept: str = "application/json") -> dict[str, str]:
    credential = {} if key is None else {"x-api-key": key}
    return {"content-type": "application/json", "accept": accept, **credential}


def _sse(key: str | None) -> list[bytes]:
    return [http("GET", SSE_PATH, _headers(key, EVENTS))]


def _messages(key: str | None) -> list[bytes]:
    url = f"{MESSAGES_PATH}?session_id=0123456789abcdef"
    return [http("POST", url, _headers(key), json.dumps(rpc("tools/list")).encode())]


def _rpc(key: str | None) -> list[bytes]:
    call = rpc("tools/call", use("echo", {"text": "hello"}))
    modern = rpc("tools/list", {"_meta": META})
    contents = [call, modern, [call, modern, rpc("ping")], rpc("notifications/x", number=None)]
    return [
        http("POST", RPC_PATH, _headers(key, accept), json.dumps(content).encode())
        for content in contents
        for accept in ("application/json", BOTH)
    ]


def _list(key: str | None) -> list[bytes]:
    return [http("GET", url, _headers(key)) for url in (TOOLS_PATH, f"{TOOLS_PATH}?cursor=a")]


def _tool(key: str | None) -> list[bytes]:
    return [
        http("POST", f"{TOOLS_PATH}/{tool}", _headers(key, accept), json.dumps(given).encode())
        for tool, given in (("echo", {"text": "hello"}), ("talk", {"seconds": 0}), ("no%2Fne", {}))
        for accept in ("application/json", EVENTS, LINES, BOTH)
    ]


def _asked(path: str, accept: str) -> Callable[[str | None], list[bytes]]:
    content = {"tool": "talk", "input": {"seconds": 0}}
    return lambda key: [http("POST", path, _headers(key, accept), json.dumps(content).encode())]


DOORS: Mapping[str, Callable[[str | None], list[bytes]]] = {
    MCP_PATH: lambda key: _mcp(key) + _asked(MCP_PATH, LINES)(key),
    SSE_PATH: _sse,
    MESSAGES_PATH: _messages,
    RPC_PATH: _rpc,
    TOOLS_PATH: _list,
    TOOL_PATH: _tool,
    ONE_SHOT_PATH: _asked(ONE_SHOT_PATH, EVENTS),
    CAPABILITIES_PATH: lambda key: [http("GET", CAPABILITIES_PATH, _headers(key))],
}
"""Valid requests by path; each is made with a key, or without."""

OPEN: Mapping[str, list[bytes]] = {
    "/.well-known/oauth-protected-resource": [
        http("GET", "/.well-known/oauth-protected-resource/mcp", {})
    ],
    "preflight": [
        http(
            "OPTIONS",
            MCP_PATH,
            {"origin": "https://chat.example", "access-control-request-method": "POST"},
        )
    ],
}
"""Requests that need no credential."""
