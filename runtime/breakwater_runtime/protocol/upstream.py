"""One connection to a peer: a request out, its answer in, nothing in between.

No HTTP library: those that are at hand take ten times as long as all the rest of a forwarded
request. Both sides are ours, so that what is not spoken here need not be understood here either.
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, cast

import httptools

from breakwater_runtime.protocol.patience import Heard, Patience

if TYPE_CHECKING:
    from collections.abc import Callable

BUFFER_BYTES = 64 * 1024
"""How much of an answer is taken from the network before the client has read what came before."""

Headers = list[tuple[bytes, bytes]]


class LostError(Exception):
    """The connection ended before the answer did."""


class LateError(Exception):
    """The peer did not say in time that it has the request."""


class Upstream(asyncio.Protocol):
    """Carries one request at a time."""

    __slots__ = (
        "_buffered",
        "_headers",
        "_heard",
        "_is_closed",
        "_is_late",
        "_is_lost",
        "_loop",
        "_lost",
        "_parser",
        "_parts",
        "_patience",
        "_paused",
        "_status",
        "_transport",
        "_waiter",
        "complete",
        "idle_since",
        "taken",
        "used",
    )

    def __init__(self, heard: Heard, lost: "Callable[[Upstream], None]") -> None:
        """Note in `heard` when the peer says something; call `lost` once the connection ended."""
        self._heard = heard
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._transport = cast("asyncio.Transport", None)
        self._parser: Any = None
        self._waiter: asyncio.Future[None] | None = None
        self._patience: Patience | None = None
        self._headers: Headers = []
        self._parts: deque[bytes] = deque()
        self._buffered = self._status = 0
        self._paused = self._is_closed = self._is_lost = self._is_late = False
        self.complete = True
        """Whether the whole answer is here."""
        self.taken = False
        """Whether the peer said that it has the request."""
        self.used = 0
        """How many requests it has carried."""
        self.idle_since = 0.0

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready for a request."""
        self._transport = cast("asyncio.Transport", transport)
        self._heard.at = self._loop.time()
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        """Parse a part of the answer."""
        self._heard.at = self._loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()
            return
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio passes it
        """Tell whoever waits."""
        self._is_closed = self._is_lost = True
        self._settle()
        self._parser = None
        self._lost(self)
        self._wake()

    # The parser's side

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Know the status; 100 only says that the peer has the request."""
        status = self._parser.get_status_code()
        self.taken = True
        self._settle()
        if status == 100:
            self._headers = []
        else:
            self._status = status

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._parts.append(body)
        self._buffered += len(body)
        if self._buffered > BUFFER_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Know that it is whole."""
        if self._status:
            self.complete = True

    # The request's side

    @property
    def reusable(self) -> bool:
        """Whether another request may follow."""
        return self.complete and not self._is_closed and not self._paused

    def send(self, head: bytes, body: bytes) -> None:
        """Send a request."""
        self._headers, self._status, self.complete, self.taken = [], 0, False, False
        self.used += 1
        self._transport.write(head + body)

    def watch(self) -> None:
        """Give up in a while unless the peer says that it has the request."""
        if not (self.taken or self._is_closed or self.complete):
            self._patience = Patience(self._heard, self._too_late)

    def _too_late(self) -> None:
        self._is_late = True
        self.abort()

    def _settle(self) -> None:
        if self._patience is not None:
            self._patience.end()
            self._patience = None

    async def head(self) -> tuple[int, Headers]:
        """Wait for status and headers.

        Raises:
            LostError: The connection ended before.
            LateError: The peer did not take the request in time.
        """
        while not self._status:
            await self._more()
        return self._status, self._headers

    async def part(self) -> tuple[bytes, bool]:
        """Wait for a part of the body; say also whether there is more.

        Raises:
            LostError: The connection ended before the body did.
        """
        while not self._parts and not self.complete:
            await self._more()
        parts = self._parts
        body = parts.popleft() if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._buffered = 0
        if self._paused and not self._is_lost:
            self._paused = False
            self._transport.resume_reading()
        return body, not self.complete

    async def _more(self) -> None:
        if self._is_lost:
            raise LateError if self._is_late else LostError
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def abort(self) -> None:
        """End the connection; the peer takes its client for gone."""
        self._settle()
        if not self._is_closed:
            self._is_closed = True
            self._transport.abort()

    def finish(self) -> None:
        """End the answer here and now, as if it were whole."""
        self.complete = True
        self.abort()
        self._wake()
