"""`/capabilities`: what the server is, what it offers, and which ways lead to it."""

from collections.abc import Callable, Iterable
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from breakwater_contract.mcp import (
    CLIENT_CAPABILITIES_META_KEY,
    HANDSHAKE_PROTOCOL_VERSIONS,
    MODERN_PROTOCOL_VERSIONS,
    PROTOCOL_VERSION_META_KEY,
    SERVER_INFO_META_KEY,
)
from breakwater_runtime.backends.nowhere import Nowhere
from breakwater_runtime.calls import API_VERSION, Call, Request, RpcError
from breakwater_runtime.protocol import body
from breakwater_runtime.protocol.dispatch import Dispatcher
from breakwater_runtime.protocol.eras import Era
from breakwater_runtime.protocol.plain.tools import Http
from breakwater_runtime.tools import gate

DISCOVER = "server/discover"
VERSION = MODERN_PROTOCOL_VERSIONS[-1]

Way = tuple[str | None, str, tuple[str, ...]]
"""The setting that opens it, a path, and the methods that it is for."""


class Capabilities:
    """Says what a caller can do here."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        """Ask the backend by a dispatcher; of ways to tell there are none yet."""
        self._dispatcher = dispatcher
        self._ways: Callable[[], Iterable[Way]] = tuple

    def tell(self, ways: Callable[[], Iterable[Way]]) -> None:
        """Tell of these ways, which are open when it is asked."""
        self._ways = ways

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        http = Http.of(scope, receive, send)
        gate.admit(http.principal, DISCOVER)
        meta = {PROTOCOL_VERSION_META_KEY: VERSION, CLIENT_CAPABILITIES_META_KEY: {}}
        call = Call(DISCOVER, {"_meta": meta}, "plain", VERSION, http.principal, scope, Nowhere())
        content = {
            "apiVersion": API_VERSION,
            "success": True,
            "principal": http.principal.name,
            "protocolVersions": [*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS],
            **await self._discovered(call),
            "endpoints": self._endpoints(),
            "requestId": Request.of(scope).id,
        }
        await body.answer(send, 200, orjson.dumps(content))

    async def _discovered(self, call: Call) -> dict[str, Any]:
        """Ask the backend; one that cannot say has nothing to tell."""
        try:
            found = orjson.loads(await self._dispatcher.result(Era.MODERN, call))
        except RpcError:
            return {"server": {}, "capabilities": {}}
        meta = found.get("_meta") or {}
        told = {"server": meta.get(SERVER_INFO_META_KEY) or found.get("serverInfo") or {}}
        if found.get("instructions"):
            told["instructions"] = found["instructions"]
        return {**told, "capabilities": found.get("capabilities") or {}}

    def _endpoints(self) -> list[dict[str, Any]]:
        return [
            {"path": path, "methods": list(methods), **({"endpoint": setting} if setting else {})}
            for setting, path, methods in self._ways()
        ]
