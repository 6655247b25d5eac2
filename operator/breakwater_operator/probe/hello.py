"""What is said to a server in MCP to hear who it is, and what its answers mean.

The models of MCP are a seventh of what a start imports, and none is needed before the first
handshake: who makes one imports this.
"""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    PROTOCOL_VERSION_META_KEY,
    SERVER_INFO_META_KEY,
    DiscoverRequest,
    DiscoverResult,
    Implementation,
    JSONRPCRequest,
    ListToolsRequest,
    ListToolsResult,
    PaginatedRequestParams,
    RequestParams,
)

from breakwater_operator.probe.prober import PROTOCOL_VERSION
from breakwater_operator.status.facts import ServerInfo

Said = dict[str, Any]
"""The result of a request, as JSON has it."""


@dataclass(frozen=True)
class Asked:
    """A request to a server."""

    method: str
    message: str
    """As it is sent."""


def who() -> Asked:
    """Ask a server who it is."""
    return _asked(DiscoverRequest(params=RequestParams(_meta=_META)))


def which_tools(cursor: str | None) -> Asked:
    """Ask for a page of its tools; the first where there is no cursor."""
    return _asked(ListToolsRequest(params=PaginatedRequestParams(_meta=_META, cursor=cursor)))


def server(said: Said, tools: int) -> ServerInfo:
    """Read who a server is.

    Args:
        said: Its answer to `who`.
        tools: How many tools it has.

    Raises:
        ValidationError: It is no such answer.
        KeyError: It does not say who.
    """
    discovered = DiscoverResult.model_validate(said)
    found = Implementation.model_validate((discovered.meta or {})[SERVER_INFO_META_KEY])
    return ServerInfo(
        name=found.name,
        version=found.version,
        protocol_versions=tuple(discovered.supported_versions),
        tools=tools,
    )


def page(said: Said) -> tuple[int, str | None]:
    """Count the tools of a page; the cursor leads to the next one, where there is one.

    Raises:
        ValidationError: It is no such page.
    """
    result = ListToolsResult.model_validate(said)
    return len(result.tools), result.next_cursor


def _asked(request: DiscoverRequest | ListToolsRequest) -> Asked:
    plain = request.model_dump(mode="json", by_alias=True, exclude_none=True)
    message = JSONRPCRequest(jsonrpc="2.0", id=1, **plain)
    return Asked(request.method, message.model_dump_json(by_alias=True, exclude_none=True))


_META: Any = {
    PROTOCOL_VERSION_META_KEY: PROTOCOL_VERSION,
    CLIENT_INFO_META_KEY: Implementation(
        name="breakwater-operator", version=version("mcp-breakwater")
    ).model_dump(mode="json", by_alias=True, exclude_none=True),
    CLIENT_CAPABILITIES_META_KEY: {},
}
