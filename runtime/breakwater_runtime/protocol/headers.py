"""What the headers of a request say about the message in its body."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

JSON = "application/json"
EVENT_STREAM = "text/event-stream"

_PARAM_PREFIX = b"mcp-param-"
_ONCE = frozenset(
    {b"mcp-protocol-version", b"mcp-method", b"mcp-name", b"mcp-session-id", b"content-type"}
)


@dataclass(slots=True)
class McpHeaders:
    """The headers that MCP knows; None: not there."""

    raw: Sequence[tuple[bytes, bytes]]
    version: str | None
    method: str | None
    name: str | None
    session: str | None
    last_event: str | None
    content_type: bytes
    accept: bytes
    repeated: str | None
    """One that stands there twice: readers on the way may have believed either."""

    @property
    def params(self) -> list[tuple[str, str]]:
        """Every `Mcp-Param-*`, by its full name in lower case."""
        return [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in self.raw
            if name.startswith(_PARAM_PREFIX)
        ]


def read(raw: Sequence[tuple[bytes, bytes]], by_name: Mapping[bytes, bytes]) -> McpHeaders:
    """Pick them out of a request's headers."""
    return McpHeaders(
        raw,
        _text(by_name.get(b"mcp-protocol-version")),
        _text(by_name.get(b"mcp-method")),
        _text(by_name.get(b"mcp-name")),
        _text(by_name.get(b"mcp-session-id")),
        _text(by_name.get(b"last-event-id")),
        by_name.get(b"content-type", b""),
        by_name.get(b"accept", b""),
        _repeated(raw) if len(by_name) != len(raw) else None,
    )


def _repeated(raw: Iterable[tuple[bytes, bytes]]) -> str | None:
    seen = set()
    for name, _ in raw:
        if name in _ONCE and name in seen:
            return name.decode()
        seen.add(name)
    return None


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


@lru_cache(maxsize=256)
def is_json(content_type: bytes) -> bool:
    """Say whether a body is declared as JSON."""
    return content_type.decode("latin-1").partition(";")[0].strip().lower() == JSON


@lru_cache(maxsize=256)
def kinds(accept: bytes) -> frozenset[str]:
    """List the types that a client takes; those with a weight of 0 it does not."""
    found = set()
    for part in accept.decode("latin-1").lower().split(","):
        kind, _, parameters = part.partition(";")
        weights = [each.strip() for each in parameters.split(";")]
        if not any(each.startswith("q=0") and not each.strip("q=0.") for each in weights):
            found.add(kind.strip())
    return frozenset(found)


@lru_cache(maxsize=256)
def accepted(accept: bytes) -> tuple[bool, bool]:
    """Say whether a client takes JSON, and whether it takes event streams."""
    parts = accept.decode("latin-1").lower().split(",")
    kinds = {part.partition(";")[0].strip() for part in parts}
    return (
        not kinds.isdisjoint({JSON, "application/*", "*/*"}),
        not kinds.isdisjoint({EVENT_STREAM, "text/*", "*/*"}),
    )
