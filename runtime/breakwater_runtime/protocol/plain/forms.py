"""How the answer to one call looks on the wire: events, lines, or one document."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from breakwater_runtime.calls import API_VERSION
from breakwater_runtime.protocol import framing, streams

Fields = Mapping[str, Any]

NDJSON = "application/x-ndjson"

REPORTS = {"notifications/progress": "progress", "notifications/message": "log"}
"""What a tool says on its way, by the method that MCP has for it."""


class Form(Protocol):
    """A form of streams."""

    headers: list[tuple[bytes, bytes]]

    def heartbeat(self) -> bytes:
        """Say something into a silence that proxies would cut."""

    def begin(self) -> bytes:
        """Say that the call was admitted."""

    def report(self, kind: str, params: Fields) -> bytes:
        """Say what the tool said on its way."""

    def result(self, content: bytes) -> bytes:
        """Give the result, and end."""

    def error(self, content: bytes) -> bytes:
        """Give the error body, and end."""


class Events:
    """`text/event-stream`: `progress`, `log`, then `result` or `error`."""

    def __init__(self, tool: str) -> None:
        """Answer a call of a tool."""
        self.headers = streams.HEADERS
        self._tool = framing.dumps(tool)

    def heartbeat(self) -> bytes:
        """Say something into a silence that proxies would cut."""
        return streams.HEARTBEAT

    def begin(self) -> bytes:
        """Let those on the way know that something comes."""
        return streams.HEARTBEAT

    def report(self, kind: str, params: Fields) -> bytes:
        """Say what the tool said on its way."""
        content = {"apiVersion": API_VERSION, **_without_token(params)}
        return _event(kind.encode(), framing.dumps(content))

    def result(self, content: bytes) -> bytes:
        """Give the result, and end."""
        return _event(
            b"result",
            b'{"apiVersion":"%b","tool":%b,"result":%b}'
            % (API_VERSION.encode(), self._tool, content),
        )

    def error(self, content: bytes) -> bytes:
        """Give the error body, and end."""
        return _event(b"error", content)


class Lines:
    """`application/x-ndjson`: `start`, `progress`, `log`, `result` or `error`, `end`."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Say when by the clock `now`."""
        self.headers = [
            (b"content-type", NDJSON.encode()),
            *(pair for pair in streams.HEADERS if pair[0] != b"content-type"),
        ]
        self._now = now

    def heartbeat(self) -> bytes:
        """Say something into a silence that proxies would cut."""
        return self._moment("heartbeat")

    def begin(self) -> bytes:
        """Say that the call was admitted."""
        return self._moment("start")

    def report(self, kind: str, params: Fields) -> bytes:
        """Say what the tool said on its way."""
        return framing.dumps({"type": kind, **_without_token(params)}) + b"\n"

    def result(self, content: bytes) -> bytes:
        """Give the result, and end."""
        return b'{"type":"result","result":%b}\n%b' % (content, self._moment("end"))

    def error(self, content: bytes) -> bytes:
        """Give the error body, and end."""
        return b'{"type":"error",%b\n%b' % (content.lstrip()[1:], self._moment("end"))

    def _moment(self, kind: str) -> bytes:
        when = self._now().astimezone(UTC).isoformat("T", "milliseconds").replace("+00:00", "Z")
        return framing.dumps({"type": kind, "ts": when}) + b"\n"


def _event(name: bytes, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, data)


def _without_token(params: Fields) -> dict[str, Any]:
    return {name: value for name, value in params.items() if name not in {"progressToken", "_meta"}}
