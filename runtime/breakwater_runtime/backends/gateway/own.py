"""Requests of the gateway's own: to learn what a server says of itself, and to greet it."""

from typing import Any

from breakwater_contract.mcp import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_MODERN_VERSION
from breakwater_contract.names import OPERATOR_PRINCIPAL
from breakwater_runtime.backends.codec.greeting import CLIENT, DISCOVER, INITIALIZE, envelope
from breakwater_runtime.backends.nowhere import Nowhere
from breakwater_runtime.calls import Call, Principal

WHO = Principal(OPERATOR_PRINCIPAL)
"""Who asks: nobody whose instances, limits or policies this would be about."""


def discover() -> Call:
    """Make a request for what a server says of itself since 2026-07-28."""
    return _call(DISCOVER, {"_meta": envelope({})}, LATEST_MODERN_VERSION)


def initialize() -> Call:
    """Make a request for what it said before."""
    version = HANDSHAKE_PROTOCOL_VERSIONS[-1]
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": CLIENT}
    return _call(INITIALIZE, params, version)


def _call(method: str, params: dict[str, Any], version: str) -> Call:
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    return Call(method, params, 0, version, WHO, scope, Nowhere())
