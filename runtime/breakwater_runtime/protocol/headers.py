"""What the headers of a request say about the message in its body."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

JSON = "application/json"
EVENT_STREAM = "text/event-stream"

_PARAM_PREFIX = b"mcp-param-"
_ONCE = {
    b"mcp-protocol-version": "version",
    b"mcp-method": "method",
    b"mcp-name": "name",
    b"mcp-session-id": "session",
    b"last-event-id": "last_event",
    b"content-type": "content_type",
}


@dataclass(slots=True)
class McpHeaders:
    """The headers that MCP knows; None: not there."""

    version: str | None = None
    method: str | None = None
    name: str | None = None
    session: str | None = None
    last_event: str | None = None
    content_type: str | None = None
    accept: bytes = b""
    params: list[tuple[str, str]] = field(default_factory=list)
    """Every `Mcp-Param-*`, by its full name in lower case."""
    repeated: str | None = None
    """One that stands there twice: readers on the way may have believed either."""


def read(raw: Iterable[tuple[bytes, bytes]]) -> McpHeaders:
    """Pick them out of a request's headers."""
    headers = McpHeaders()
    for name, value in raw:
        member = _ONCE.get(name)
        if member is not None:
            if getattr(headers, member) is not None:
                headers.repeated = name.decode()
            setattr(headers, member, value.decode("latin-1"))
        elif name == b"accept":
            headers.accept = headers.accept + b"," + value if headers.accept else value
        elif name.startswith(_PARAM_PREFIX):
            headers.params.append((name.decode("latin-1"), value.decode("latin-1")))
    return headers


@lru_cache(maxsize=256)
def is_json(content_type: str | None) -> bool:
    """Say whether a body is declared as JSON."""
    return (content_type or "").partition(";")[0].strip().lower() == JSON


@lru_cache(maxsize=256)
def accepted(accept: bytes) -> tuple[bool, bool]:
    """Say whether a client takes JSON, and whether it takes event streams."""
    parts = accept.decode("latin-1").lower().split(",")
    kinds = {part.partition(";")[0].strip() for part in parts}
    return (
        not kinds.isdisjoint({JSON, "application/*", "*/*"}),
        not kinds.isdisjoint({EVENT_STREAM, "text/*", "*/*"}),
    )
