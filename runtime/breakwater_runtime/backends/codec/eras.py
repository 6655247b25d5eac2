"""Between a caller of one era and a server of the other."""

from collections.abc import Mapping
from typing import Any

from breakwater_contract.mcp import (
    HANDSHAKE_PROTOCOL_VERSIONS,
    INVALID_PARAMS,
    LOG_LEVEL_META_KEY,
    MODERN_PROTOCOL_VERSIONS,
    SERVER_INFO_META_KEY,
)
from breakwater_runtime.backends.codec.greeting import OLDER
from breakwater_runtime.backends.codec.instance import About
from breakwater_runtime.backends.codec.messages import Result
from breakwater_runtime.backends.encoding import dumps
from breakwater_runtime.calls import Call, RpcError

RESERVED = "io.modelcontextprotocol/"
ROUNDS = frozenset({"inputResponses", "requestState"})
"""Parameters of multi-round requests, which the older era does not have."""

CACHEABLE = frozenset(
    {
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "resources/read",
    }
)
"""Methods whose results must say how long they hold."""

REMOVED = frozenset(
    {
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
    }
)
"""Methods of the older era that 2026-07-28 does not have, whatever the server itself knows."""

RESOURCE_NOT_FOUND = -32002
"""The older era's code, which 2026-07-28 does not allow."""


def is_modern(call: Call) -> bool:
    """Say whether a caller speaks 2026-07-28 or later."""
    return call.version in MODERN_PROTOCOL_VERSIONS


def params_for_older(params: dict[str, Any] | None) -> dict[str, Any] | None:
    """Leave out of a modern request what an older server does not know."""
    if params is None:
        return None
    kept = {name: value for name, value in params.items() if name not in ROUNDS}
    meta = kept.pop("_meta", None)
    if isinstance(meta, dict):
        plain = {name: value for name, value in meta.items() if not name.startswith(RESERVED)}
        if plain:
            kept["_meta"] = plain
    return kept


def result_for_modern(method: str, result: Result, about: About) -> bytes:
    """Add to an older server's result what a modern one has to have."""
    content = result.content
    added: dict[str, Any] = {"resultType": "complete"}
    if method in CACHEABLE:
        added |= {"ttlMs": 0, "cacheScope": "private"}
    meta = {SERVER_INFO_META_KEY: about.server_info}
    if content and "_meta" not in content and not added.keys() & content.keys():
        added["_meta"] = meta
        return result.raw.rstrip()[:-1] + b"," + dumps(added)[1:]
    if isinstance(given := content.get("_meta"), dict):
        meta = {**given, **meta}
    return dumps({**content, **added, "_meta": meta})


def error_for_modern(error: RpcError) -> RpcError:
    """Give an older server's error the code that it has now."""
    if error.code == RESOURCE_NOT_FOUND:
        return RpcError(INVALID_PARAMS, error.message, error.data)
    return error


def discovered(about: About) -> bytes:
    """Make the answer to `server/discover` of what a server said of itself."""
    if about.modern:
        return dumps(about.result)
    content: dict[str, Any] = {
        "supportedVersions": list(MODERN_PROTOCOL_VERSIONS),
        "capabilities": about.capabilities,
        "ttlMs": 0,
        "cacheScope": "private",
        "resultType": "complete",
        "_meta": {SERVER_INFO_META_KEY: about.server_info},
    }
    if isinstance(instructions := about.result.get("instructions"), str):
        content["instructions"] = instructions
    return dumps(content)


def initialized(about: About, params: Mapping[str, Any] | None) -> bytes:
    """Make the answer to an older client's `initialize`; it names the version that it asked for."""
    asked = (params or {}).get("protocolVersion")
    version = asked if asked in HANDSHAKE_PROTOCOL_VERSIONS else OLDER
    return dumps({**about.result, "protocolVersion": version})


def wants_logs(call: Call) -> bool:
    """Say whether a caller takes log messages: modern ones say so in each request."""
    if not is_modern(call):
        return True
    meta = (call.params or {}).get("_meta")
    return isinstance(meta, dict) and LOG_LEVEL_META_KEY in meta
