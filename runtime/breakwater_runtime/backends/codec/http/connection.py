"""One HTTP/1.1 connection to a server: a request out, its answer in.

No HTTP library: those at hand take several times as long as everything else that is done for a
call. Only what an MCP server may answer is understood.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import httptools

from breakwater_runtime.resilience.answer_room import LARGE_BYTES

if TYPE_CHECKING:
    Large = Callable[[int], Awaitable[None]]
    """Waits for room for an answer of at most so many bytes."""

    Done = Callable[["Connection"], None]

BUFFER_BYTES = LARGE_BYTES
"""How much of an answer is taken from the network before somebody has read what came before."""

HEADER_BYTES_MAX = 64 * 1024

FINISH_SECONDS = 1.0
"""How long the end of an answer may take after the message that was waited for; the connection can
carry another request only after that."""


class LostError(Exception):
    """The connection ended before the answer did."""

    def __init__(self, *, silent: bool) -> None:
        """Say whether not one byte of the answer had come."""
        super().__init__("the connection was closed before the answer was complete")
        self.silent = silent


class TooLongError(Exception):
    """The answer is longer than allowed."""


class Connection(asyncio.Protocol):
    """Carries one request at a time."""

    def __init__(self) -> None:
        """Be connected by the loop."""
        self._transport = cast("asyncio.Transport", None)
        self._parser: Any = None
        self._headers: dict[bytes, bytes] = {}
        self._header_bytes = 0
        self._parts: deque[bytes] = deque()
        self._buffered = self._status = 0
        self._begun = self._lost = self._closing = self._paused = False
        self._ends_with_connection = False
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._finish: asyncio.TimerHandle | None = None
        self._done: Done | None = None
        self.complete = True
        """Whether the whole answer is here."""
        self.used = 0
        """How many requests it has carried."""
        self.idle_since = 0.0

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready for a request."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse a part of the answer."""
        if self.complete:
            # Nothing was asked: whatever this is, it belongs to no request.
            self.abort()
            return
        self._begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()
        self._wake()

    def eof_received(self) -> None:
        """Have the transport closed: a server that sends no more takes no more either."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio passes it
        """Tell whoever waits."""
        # Where we ended it, nobody knows whether that was the answer's end.
        if self._status and self._ends_with_connection and not (self.complete or self._closing):
            self.complete = True
        self._lost = self._closing = True
        self._parser = None
        self.resume_writing()
        self._settle()
        self._wake()

    def pause_writing(self) -> None:
        """Have the sender wait."""
        if self._writable is None:
            self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Have the sender go on."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # The parser's side

    def on_message_begin(self) -> None:
        """Refuse a second answer to one request."""
        if self.complete:
            self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; of several with one name the last one counts."""
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > HEADER_BYTES_MAX:
            self.abort()
        self._headers[name.lower()] = value.strip()

    def on_headers_complete(self) -> None:
        """Know the status; those below 200 are no answer yet."""
        status = self._parser.get_status_code()
        if status < 200:
            self._headers, self._header_bytes = {}, 0
            return
        self._status = status
        self._ends_with_connection = not (
            b"content-length" in self._headers or b"transfer-encoding" in self._headers
        )

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, and no more than somebody reads."""
        self._parts.append(body)
        self._buffered += len(body)
        if self._buffered > BUFFER_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Know that it is whole."""
        if self._status:
            self.complete = True
            self._closing = self._closing or not self._parser.should_keep_alive()
            self._settle()

    # The request's side

    @property
    def reusable(self) -> bool:
        """Whether another request may follow."""
        return self.complete and not self._closing and not self._paused

    async def send(self, request: bytes) -> None:
        """Send a request, as fast as the server takes it."""
        self._headers, self._header_bytes, self._status = {}, 0, 0
        self._ends_with_connection = self._begun = self.complete = False
        self._parts.clear()
        self._buffered = 0
        self._parser = httptools.HttpResponseParser(self)
        self.used += 1
        self._transport.write(request)
        if self._writable is not None:
            await self._writable

    async def head(self) -> tuple[int, Mapping[bytes, bytes]]:
        """Wait for the status and the headers, whose names are in lower case.

        Raises:
            LostError: The connection ended before.
        """
        while not self._status:
            await self._more()
        return self._status, self._headers

    async def part(self) -> bytes:
        """Wait for a part of the body; an empty one is its end.

        Raises:
            LostError: The connection ended before the body did.
        """
        while not self._parts:
            if self.complete:
                return b""
            await self._more()
        part = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._buffered = 0
        if self._paused:
            self._paused = False
            if not self._lost:
                self._transport.resume_reading()
        return part

    async def body(self, bytes_max: int, large: "Large | None" = None) -> bytes:
        """Wait for the whole body.

        Args:
            bytes_max: How long it may be.
            large: What is waited for before more than the first of a large one is read.

        Raises:
            LostError: The connection ended before the body did.
            TooLongError: It is longer than `bytes_max`.
        """
        part = await self.part()
        if self.complete and not self._parts:
            if len(part) > bytes_max:
                raise TooLongError
            return part
        longest = self._longest(bytes_max)
        parts, size = [part], len(part)
        while part:
            if max(size, longest) > bytes_max:
                self.abort()
                raise TooLongError
            if large is not None and size > LARGE_BYTES:
                await large(longest or bytes_max)
                large = None
            part = await self.part()
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def _longest(self, bytes_max: int) -> int:
        """Say how long a body is by its own word; 0: it has none."""
        declared = self._headers.get(b"content-length", b"")
        return min(int(declared[:19]), bytes_max + 1) if declared.isdigit() else 0

    async def _more(self) -> None:
        if self._lost or (self._closing and not self.complete):
            raise LostError(silent=not self._begun)
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # The end of a request

    def finish(self, done: "Done") -> None:
        """Read what is left of an answer of which nothing matters any more, then call `done`.

        It is called at once where nothing is left, and with an ended connection where more is left
        than the end of a stream.
        """
        self._parts.clear()
        self._buffered = 0
        if self.complete or self._closing:
            done(self)
            return
        if self._paused:
            self.abort()
            done(self)
            return
        self._done = done
        self._finish = asyncio.get_running_loop().call_later(FINISH_SECONDS, self.abort)

    def _settle(self) -> None:
        if self._finish is not None:
            self._finish.cancel()
            self._finish = None
        if self._done is not None:
            done, self._done = self._done, None
            self._parts.clear()
            self._buffered = 0
            done(self)

    def abort(self) -> None:
        """End the connection; a server of 2026-07-28 takes its request for cancelled."""
        if not self._closing:
            self._closing = True
            self._transport.abort()
        self._wake()
