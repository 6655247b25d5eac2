"""One request and its answer, between the connection and the app."""

import asyncio
import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from starlette.types import ASGIApp, Message, Scope, Send

from breakwater_runtime.calls import Problem, Refused, Request
from breakwater_runtime.http.answer_headers import ALWAYS, STREAMS
from breakwater_runtime.http.body_turns import LARGE_BYTES

if TYPE_CHECKING:
    from breakwater_runtime.http.connection import Connection

logger = logging.getLogger(__name__)

BUFFER_BYTES: Final = 64 * 1024
"""How much of a body is taken from the network before the app has asked for it."""

SLICE_BYTES: Final = 256 * 1024
"""How much of a large answer is handed to the network at once."""

STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
BODILESS: Final = frozenset({204, 304})
OURS: Final = frozenset({b"connection", b"content-length", b"content-type", b"transfer-encoding"})


def line(name: bytes, value: bytes) -> bytes:
    """Write one header.

    Raises:
        RuntimeError: A line break in it would be a header, or an answer, of somebody else's making.
    """
    text = b"%b: %b" % (name, value)
    if 0x0A in text or 0x0D in text or 0 in text:  # as numbers: bytes are looked for in a detour
        raise RuntimeError("a header contains a control character")
    return text + b"\r\n"


STEADY: Final = {
    header: line(*header) for header in (*ALWAYS, (b"content-type", b"application/json"))
}
"""Headers that stand in nearly every answer, as they are written."""


class Exchange:
    """What the app receives from and sends to the client, as ASGI has it."""

    __slots__ = (
        "_body",
        "_changed",
        "_chunked",
        "_connection",
        "_ended",
        "_expects_continue",
        "_fault",
        "_head",
        "_is_stream",
        "_left",
        "_more",
        "_told",
        "_turn",
        "_within",
        "complete",
        "keep_alive",
        "received",
        "scope",
        "started",
    )

    def __init__(
        self, connection: "Connection", scope: Scope, *, keep_alive: bool, expects_continue: bool
    ) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        """Whether another request may follow on the connection."""
        self.started = False
        """Whether the answer has begun."""
        self.complete = False
        """Whether it has ended."""
        self.received = 0
        """Bytes of the request's body so far."""
        self._connection = connection
        self._body = b""
        self._more = True
        self._told = False
        self._turn: bool | None = None
        self._ended = False
        self._fault: Refused | None = None
        self._changed: asyncio.Event | None = None
        self._expects_continue = expects_continue
        self._chunked = self._is_stream = False
        self._within = False
        self._left: int | None = None
        self._head = b""

    # What the connection says

    def take_body(self, data: bytes) -> None:
        """Keep a part of the body for the app."""
        self.received += len(data)
        self._body = self._body + data if self._body else data
        if len(self._body) > BUFFER_BYTES:
            self._connection.pause_reading()
        self._wake()

    def end_body(self) -> None:
        """Know that the body is whole."""
        self._more = False
        self._wake()

    def fail(self, refusal: Refused) -> None:
        """Let the app find out that the rest of the body never comes."""
        self.keep_alive = False
        self._fault = refusal
        self._wake()

    def disconnect(self) -> None:
        """Let the app find out that the client is gone."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()

    # What the app does

    async def run(self, app: ASGIApp) -> None:
        """Let the app answer; whatever it does, the client is not left waiting."""
        try:
            await app(self.scope, self.receive, self.send)
            if not self.complete and not self._ended:
                logger.error("an answer was not finished")
                await self._end_with(Problem.INTERNAL)
        except asyncio.CancelledError:
            await self._end_with(Problem.SHUTTING_DOWN)
        except Exception:
            logger.exception("request failed")
            await self._end_with(Problem.INTERNAL)
        finally:
            self._give_turn_back()
            self._connection.port.answered(self)

    async def end_with(self, problem: Problem) -> None:
        """Answer, or end what has begun, without an app."""
        try:
            await self._end_with(problem)
        finally:
            self._connection.port.answered(self)

    def replace(self) -> "Exchange":
        """Get another one for the same answer; the app of this one takes its client for gone."""
        other = Exchange(self._connection, self.scope, keep_alive=False, expects_continue=False)
        other.end_body()
        other.started = self.started
        other._chunked, other._left, other._head = self._chunked, self._left, self._head
        other._is_stream, other._within = self._is_stream, self._within
        self.disconnect()
        return other

    async def _end_with(self, problem: Problem) -> None:
        """Answer in place of the app, or bring what it has begun to an end.

        A stream of events without an end would look like a broken network, and its client would
        wait or resume: it gets the error as its last event. Half a document cannot be ended well,
        and neither can half an event.
        """
        if self.complete or self._ended:
            return
        self.keep_alive = False
        if self._head:  # nothing of it is on its way yet
            self.started, self._head, self._left = False, b"", None
        try:
            if not self.started:
                await self._refuse(problem, self.send)
            elif self._is_stream and not self._within:
                await self.send(await self._last_event(problem))
            else:
                self._connection.abort()
        except Exception:
            logger.exception("a refusal failed")
            self._connection.abort()

    async def _last_event(self, problem: Problem) -> Message:
        parts: list[bytes] = []

        async def keep(message: Message) -> None:
            parts.append(message.get("body", b""))

        await self._refuse(problem, keep)
        body, request = b"".join(parts), Request.find(self.scope)
        if request is not None and request.last_words is not None:
            return {"type": "http.response.body", "body": request.last_words(body)}
        event = b"event: message\ndata: %b\n\n" % body
        return {"type": "http.response.body", "body": event}

    async def _refuse(self, problem: Problem, send: Send) -> None:
        scope, retry = dict(self.scope), 1 if problem.value.retryable else None
        refusal = Refused(problem, retry_after=retry)
        if (request := Request.find(scope)) is not None:
            request.give_up(problem)
            refusal.message_id, refusal.is_plain = request.message_id, request.is_plain
            # The answer has the id that is in the log already.
            scope["headers"] = [
                *(pair for pair in scope["headers"] if pair[0] != b"x-request-id"),
                (b"x-request-id", request.id.encode()),
            ]
        app = self._connection.port.refusing(refusal, is_known=request is not None)
        await app(scope, self.receive, send)

    async def receive(self) -> Message:
        """Get the next part of the body, then wait for the client to leave."""
        if self._expects_continue:
            self._expects_continue = False
            if not self.started:
                self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not self._ended and not self.complete:
            if self._body or not (self._more or self._told):
                if self._more and self._turn is None and self.received > LARGE_BYTES:
                    self._turn = await self._connection.port.body_turns.take()
                return self._next_part()
            if self._fault is not None and self._more:
                if self.started:
                    break
                raise self._fault
            await self._change()
        return {"type": "http.disconnect"}

    def _next_part(self) -> Message:
        body, self._body = self._body, b""
        if not self._more:
            self._told = True
            self._give_turn_back()
        self._connection.resume_reading()
        return {"type": "http.request", "body": body, "more_body": self._more}

    def _give_turn_back(self) -> None:
        if self._turn:
            self._turn = False
            self._connection.port.body_turns.give_back()

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = asyncio.Event()
        self._changed.clear()
        await self._changed.wait()

    async def send(self, message: Message) -> None:
        """Send the head or a part of the answer; wait while the client reads too slowly."""
        connection = self._connection
        while connection.unread is not None:
            await connection.unread.wait()
        if self._ended:
            return
        if not self.started:
            self._send_head(message)
        elif len(message.get("body", b"")) > SLICE_BYTES:
            await self._send_large(message)
        else:
            self._send_body(message)

    async def _send_large(self, message: Message) -> None:
        """Send a large part in slices, each of them once the client has read the one before.

        So it exists once while it is read, and not again in what waits for the network; and who
        sends it knows when the client has it.
        """
        connection, body = self._connection, message["body"]
        more, size = message.get("more_body", False), len(body)
        request = Request.find(self.scope)
        if request is not None:
            request.abandon = connection.abandon
        self._within = True
        for start in range(0, size, SLICE_BYTES):
            while connection.unread is not None:
                await connection.unread.wait()
            if self._ended:
                return
            end = start + SLICE_BYTES
            self._within = end < size
            part = {"type": message["type"], "body": body[start:end]}
            self._send_body(part | {"more_body": more or self._within})

    def _send_head(self, message: Message) -> None:
        if message["type"] != "http.response.start":
            raise RuntimeError(f"expected http.response.start, got {message['type']}")
        status = message["status"]
        if self._connection.is_last(self):
            self.keep_alive = False
        lines = [STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]
        self._write_headers(lines, message.get("headers", ()))
        lines.append(self._connection.port.date)
        if status in BODILESS or self.scope["method"] == "HEAD":
            self._left = 0
        elif self._left is None:
            self._frame(lines)
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        head = b"".join(lines)
        self.started = True
        self._expects_continue = False
        if self._left:
            # The body follows at once: together they are one write, and one packet.
            self._head = head
        else:
            self._connection.write(head)

    def _write_headers(self, lines: list[bytes], headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Write the app's headers."""
        for header in headers:
            steady = STEADY.get(header)
            if steady is None:
                name, value = header
                steady = self._line(name, value)
            lines.append(steady)

    def _line(self, name: bytes, value: bytes) -> bytes:
        """Write one header; what is the connection's business is for the connection."""
        if name in OURS:
            if name == b"content-length":
                self._left = int(value)
            elif name == b"content-type":
                self._is_stream = value.startswith(STREAMS)
            else:
                self.keep_alive = self.keep_alive and b"close" not in value.lower()
                return b""
        return line(name, value)

    def _frame(self, lines: list[bytes]) -> None:
        """Say where an answer of unknown length ends: to old clients, by closing."""
        if self.scope["http_version"] != "1.1":
            self.keep_alive = False
            return
        self._chunked = True
        lines.append(b"transfer-encoding: chunked\r\n")

    def _send_body(self, message: Message) -> None:
        if message["type"] != "http.response.body" or self.complete:
            raise RuntimeError(f"expected nothing more of an answer, got {message['type']}")
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._chunked:
            framed = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self._write(framed if more else framed + b"0\r\n\r\n")
        elif self.scope["method"] != "HEAD":
            self._count(len(body), more=more)
            self._write(body)
        if not more:
            self.complete = True
            self._wake()
            self._connection.finished(self)

    def _write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        if data:
            self._connection.write(data)

    def _count(self, size: int, *, more: bool) -> None:
        """Hold the answer to the length that it promised.

        Raises:
            RuntimeError: It has another.
        """
        if self._left is None:
            return
        self._left -= size
        if self._left < 0 or (self._left and not more):
            raise RuntimeError("an answer has another length than its Content-Length says")
