"""Arguments that clients repeat as headers (`x-mcp-header`), as the SDK understands them.

The SDK is imported once a tool declares any: few do, and a runtime that serves no Python object
starts faster without.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from breakwater_contract.mcp import X_MCP_HEADER_KEY
from breakwater_runtime.backends.encoding import dumps

_PLAIN = re.compile(r"[A-Za-z0-9_./:-]+")
"""Values that nobody would encode, as names of tools are."""


def declared(tool: Mapping[str, Any]) -> Mapping[Any, str]:
    """Get which arguments of a tool are repeated, and by what name."""
    schema = tool.get("inputSchema")
    if not isinstance(schema, dict) or X_MCP_HEADER_KEY.encode() not in dumps(schema):
        return {}
    from mcp.shared.inbound import x_mcp_header_map

    return x_mcp_header_map(schema)


def repeated(headers: Mapping[Any, str], arguments: Mapping[str, Any]) -> Mapping[str, str]:
    """Repeat arguments as the headers that `declared` found."""
    from mcp.shared.inbound import mcp_param_headers

    return mcp_param_headers(headers, arguments)


def encoded(value: str) -> str:
    """Write a value so that it survives as a header."""
    if _PLAIN.fullmatch(value):
        return value
    from mcp.shared.inbound import encode_header_value

    return encode_header_value(value)


def mismatch(
    tool: Mapping[str, Any], arguments: Mapping[str, Any], headers: Sequence[tuple[str, str]]
) -> str | None:
    """Say which header does not agree with the arguments; None: all do."""
    if not declared(tool):
        return None
    from mcp.shared.inbound import validate_mcp_param_headers

    rejection = validate_mcp_param_headers(tool.get("inputSchema"), arguments, _Pairs(headers))
    return None if rejection is None else rejection.message


class _Pairs(dict[str, str]):
    """Headers as the SDK's check wants them, with one name twice where it was sent twice."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self._pairs = pairs

    def items(self) -> Any:
        return self._pairs
