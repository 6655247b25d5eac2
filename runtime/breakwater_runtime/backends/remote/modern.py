"""Callers of the older era at a server that only speaks today's."""

from collections.abc import Mapping
from typing import Any

from breakwater_contract.mcp import HANDSHAKE_PROTOCOL_VERSIONS, INVALID_REQUEST
from breakwater_runtime.backends.codec.greeting import OLDER, envelope
from breakwater_runtime.backends.codec.instance import About
from breakwater_runtime.backends.codec.messages import Result
from breakwater_runtime.backends.encoding import dumps
from breakwater_runtime.calls import RpcError

ADDED = frozenset({"resultType", "ttlMs", "cacheScope"})
"""Members of results that the older era does not have."""

NOTHING_TO_DO = frozenset({"ping", "logging/setLevel"})
"""Methods of the older era that are answered here, since today's servers do not have them."""


def params(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Add what every request of today's era says of its client."""
    said = dict(given or {})
    meta = said.get("_meta")
    return {**said, "_meta": {**(meta if isinstance(meta, dict) else {}), **envelope({})}}


def result(answered: Result) -> bytes:
    """Leave out of a result what older clients do not know.

    Raises:
        RpcError: It asks the client for something in a way that older ones do not have.
    """
    content: Mapping[str, Any] = answered.content
    if content.get("resultType", "complete") != "complete":
        raise RpcError(
            INVALID_REQUEST, "The server asks for input as only clients of 2026-07-28 can give it."
        )
    return dumps({name: value for name, value in content.items() if name not in ADDED})


def initialized(about: About, given: Mapping[str, Any] | None) -> bytes:
    """Make the answer to `initialize`; it names the version that was asked for."""
    asked = (given or {}).get("protocolVersion")
    said: dict[str, Any] = {
        "protocolVersion": asked if asked in HANDSHAKE_PROTOCOL_VERSIONS else OLDER,
        "capabilities": about.capabilities,
        "serverInfo": {"name": "server", "version": "", **about.server_info},
    }
    instructions = about.result.get("instructions")
    return dumps(said | ({"instructions": instructions} if instructions else {}))
