"""What a client says of itself with every request, understood once per client."""

from collections import OrderedDict
from typing import Any

from mcp.server.connection import Connection
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    PROTOCOL_VERSION_META_KEY,
)
from mcp_types import methods as wire
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from breakwater_runtime.backends.encoding import dumps

REMEMBERED = 512
"""How many kinds of clients are remembered; what one sends is a few hundred bytes."""

PLAIN = frozenset({"name", "arguments", "_meta"})
RESERVED = "io.modelcontextprotocol/"
KNOWN = frozenset(
    {PROTOCOL_VERSION_META_KEY, CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY, "progressToken"}
)


def connection(version: str, params: dict[str, Any] | None) -> Connection:
    """Make the SDK's idea of a client that is known by the parameters of one request only."""
    # Where it is no object, the SDK's own check of the parameters says so.
    meta = params.get("_meta") if params is not None else None
    if version in MODERN_PROTOCOL_VERSIONS and isinstance(meta, dict):
        return Connection.from_envelope(
            version, meta.get(CLIENT_INFO_META_KEY), meta.get(CLIENT_CAPABILITIES_META_KEY)
        )
    return Connection.from_envelope(version, None, None)


class Envelopes:
    """Says of a request whether the SDK would accept its parameters as they are.

    Only for the simple ones, which are nearly all; of the others nothing is said, and the SDK's own
    check decides.
    """

    def __init__(self) -> None:
        self._accepted: OrderedDict[bytes, None] = OrderedDict()

    def accepts(self, version: str, params: dict[str, Any] | None) -> bool:
        """Say whether it is a simple one, and right."""
        if params is None or not params.keys() <= PLAIN:
            return False
        if type(params.get("name")) is not str:
            return False
        return type(params.get("arguments")) in _MAYBE_OBJECT and self._accepts_meta(
            version, params.get("_meta")
        )

    def accepts_nothing_else(self, version: str, params: dict[str, Any] | None) -> bool:
        """Say whether parameters that must only have a right `_meta` have it."""
        if not params:
            return version not in MODERN_PROTOCOL_VERSIONS
        return len(params) == 1 and self._accepts_meta(version, params.get("_meta"))

    def _accepts_meta(self, version: str, meta: Any) -> bool:
        if meta is None:
            return version not in MODERN_PROTOCOL_VERSIONS
        return bool(
            type(meta) is dict
            and type(meta.get("progressToken", "")) in _TOKENS
            and (meta.keys() <= KNOWN or not any(map(_reserved, meta.keys() - KNOWN)))
            and self._knows(version, meta)
        )

    def _knows(self, version: str, meta: dict[str, Any]) -> bool:
        said = dumps(
            (
                version,
                meta.get(CLIENT_CAPABILITIES_META_KEY, 0),
                meta.get(CLIENT_INFO_META_KEY, 0),
            )
        )
        if said in self._accepted:
            return True
        try:
            wire.validate_client_request("tools/call", version, {"name": "", "_meta": meta})
        except ValidationError:
            return False
        self._accepted[said] = None
        if len(self._accepted) > REMEMBERED:
            self._accepted.popitem(last=False)
        return True


_MAYBE_OBJECT = frozenset({dict, type(None)})
_TOKENS = frozenset({str, int})


def _reserved(key: str) -> bool:
    return key.startswith(RESERVED)
