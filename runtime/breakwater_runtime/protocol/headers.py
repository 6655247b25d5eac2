"""What the headers of a request say about the message in its body."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

JSON = "application/json"
EVENT_STREAM = "text/event-stream"

_PARAM_PREFIX = b"mcp-param-"
_ONCE = frozenset(
    {b"mcp-protocol-version", b"mcp-method", b"mcp-name", b"mcp-session-id", b"content-type"}
)


class McpHeaders:
    """The headers that MCP knows; None: not there."""

    __slots__ = (
        "_raw",
        "accept",
        "content_type",
        "last_event",
        "method",
        "name",
        "repeated",
        "session",
        "version",
    )

    # By hand: what a dataclass makes is not compiled.
    def __init__(self, raw: Sequence[tuple[bytes, bytes]], by_name: dict[bytes, bytes]) -> None:
        """Pick them out of a request's headers."""
        self._raw = raw
        self.version = _text(by_name.get(b"mcp-protocol-version"))
        self.method = _text(by_name.get(b"mcp-method"))
        self.name = _text(by_name.get(b"mcp-name"))
        self.session = _text(by_name.get(b"mcp-session-id"))
        self.last_event = _text(by_name.get(b"last-event-id"))
        self.content_type = by_name.get(b"content-type", b"")
        self.accept = by_name.get(b"accept", b"")
        self.repeated = _repeated(raw) if len(by_name) != len(raw) else None
        """One that stands there twice: readers on the way may have believed either."""

    @property
    def params(self) -> list[tuple[str, str]]:
        """Every `Mcp-Param-*`, by its full name in lower case."""
        return [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in self._raw
            if name.startswith(_PARAM_PREFIX)
        ]


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
