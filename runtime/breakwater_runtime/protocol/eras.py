"""The two eras of MCP: which one a message belongs to, and whether its headers agree with it.

Up to 2025-11-25 a client shakes hands first. Since 2026-07-28 every request carries in `_meta` what
the handshake said, and repeats in headers what proxies want to know.
"""

import base64
import binascii
import re
from enum import Enum
from typing import Any, Final

from breakwater_contract.mcp import (
    CLIENT_CAPABILITIES_META_KEY,
    HANDSHAKE_PROTOCOL_VERSIONS,
    INVALID_PARAMS,
    MODERN_PROTOCOL_VERSIONS,
    PROTOCOL_VERSION_META_KEY,
    UNSUPPORTED_PROTOCOL_VERSION,
)
from breakwater_runtime.calls import Problem, Refused, RpcError
from breakwater_runtime.protocol.headers import McpHeaders

BATCHES: Final = "2025-03-26"
"""The one revision with batches, and the one that a client without the header is taken to speak."""

PRIMED = "2025-11-25"
"""The revision from which a stream may begin with an event that only has an id."""

NAMED_BY: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Which parameter `Mcp-Name` repeats."""

_ENCODED: Final = re.compile(r"=\?base64\?(.*)\?=")


class Era(Enum):
    """How a message is spoken."""

    __hash__ = object.__hash__  # each member is one object; Enum's own hashes its name every time

    OLDER = "older"
    MODERN = "modern"


def of(version: str | None) -> Era:
    """Tell the era by the header; a version that nobody knows counts as a new one."""
    older = version is None or version in HANDSHAKE_PROTOCOL_VERSIONS
    return Era.OLDER if older else Era.MODERN


def check_older(headers: McpHeaders, meta: Any) -> None:
    """Refuse a message of today's era that would be taken for an older one by its header.

    Raises:
        Refused: Its `_meta` names another version than the header.
    """
    if isinstance(meta, dict) and PROTOCOL_VERSION_META_KEY in meta:
        if headers.version is None:
            raise Refused(Problem.HEADER_MISMATCH, "The MCP-Protocol-Version header is missing.")
        if meta[PROTOCOL_VERSION_META_KEY] != headers.version:
            raise _mismatch("MCP-Protocol-Version", "_meta's version")


def check_modern(headers: McpHeaders, method: str, params: Any) -> None:
    """Hold a request of today's era against its headers.

    Raises:
        RpcError: `_meta` lacks what it must have, or the version is not served.
        Refused: A header says something else than the body.
    """
    version = stated_version(params)
    if headers.repeated:
        raise Refused(
            Problem.HEADER_MISMATCH, f"The header {headers.repeated} stands there more than once."
        )
    if headers.version != version:
        raise _mismatch("MCP-Protocol-Version", "_meta's version")
    if headers.method != method:
        raise _mismatch("Mcp-Method", "method")
    member = NAMED_BY.get(method)
    if member is not None:
        name = params.get(member)
        if name is not None and decoded(headers.name) != name:
            raise _mismatch("Mcp-Name", f"params.{member}")
    check_served(version)


def stated_version(params: Any) -> str:
    """Get the version that a request of today's era says it is of.

    Raises:
        RpcError: `_meta` lacks what it must have, or has something else in its place.
    """
    meta = params.get("_meta") if type(params) is dict else None
    if type(meta) is not dict:
        raise RpcError(INVALID_PARAMS, "params._meta must be an object")
    if PROTOCOL_VERSION_META_KEY not in meta or CLIENT_CAPABILITIES_META_KEY not in meta:
        wanted = f"{PROTOCOL_VERSION_META_KEY} and {CLIENT_CAPABILITIES_META_KEY}"
        raise RpcError(INVALID_PARAMS, f"params._meta must have {wanted}")
    version = meta[PROTOCOL_VERSION_META_KEY]
    if not isinstance(version, str):
        raise RpcError(
            INVALID_PARAMS, f"params._meta: {PROTOCOL_VERSION_META_KEY} must be a string"
        )
    return version


def check_served(version: str) -> None:
    """Refuse a version that is not served.

    Raises:
        RpcError: It is not.
    """
    if version not in MODERN_PROTOCOL_VERSIONS:
        data = {"supported": list(MODERN_PROTOCOL_VERSIONS), "requested": version}
        raise RpcError(UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", data)


def decoded(value: str | None) -> str | None:
    """Read a header's value, which is in base64 where it could not be sent as it is."""
    if value is None or not value.startswith("=?"):
        return value
    encoded = _ENCODED.fullmatch(value)
    if encoded is None:
        return value
    try:
        content = base64.b64decode(encoded[1], validate=True)
        text = content.decode()
    except (binascii.Error, ValueError):
        return None
    # Another spelling of the same bytes would look like another name to those on the way.
    return text if base64.b64encode(content).decode() == encoded[1] else None


def _mismatch(header: str, member: str) -> Refused:
    return Refused(
        Problem.HEADER_MISMATCH, f"The header {header} does not agree with the body's {member}."
    )
