"""Every endpoint of the public port, with valid requests to it: what is attacked everywhere.

A new endpoint comes into this table, and is fuzzed and asked with bad credentials from then on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from breakwater_contract.names import MCP_PATH
from tests.support.rig.requests import MODERN, Speaker, http, rpc, use

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OLDER = "2025-11-25"
BATCHES = "2025-03-26"


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


DOORS: Mapping[str, Callable[[str | None], list[bytes]]] = {MCP_PATH: _mcp}
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
