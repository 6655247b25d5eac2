"""HTTP/1.1 to the API server and no more than that: what one request costs is what a pass costs."""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

import httptools

from breakwater_operator.kube.stream import Stream, WireError


@dataclass(slots=True)
class Answer:
    """What a server answered."""

    status: int = 0
    head: bytes = b""
    """What came until its head was complete, and maybe more."""
    body: bytes = b""

    @property
    def headers(self) -> dict[str, str]:
        """The head by lower-case names; hardly any answer's is looked at."""
        _, *lines = self.head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        fields = (line.partition(":") for line in lines)
        return {name.strip().lower(): said.strip() for name, _, said in fields}


class Wire(asyncio.Protocol):
    """One connection; it carries one request at a time."""

    def __init__(self, freed: Callable[["Wire"], None]) -> None:
        """Carry nothing yet.

        Args:
            freed: Told when an answer is complete and the connection can carry another request.
        """
        self._freed = freed
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._head: asyncio.Future[Answer] | None = None
        self._answer = Answer()
        self._in_head = False
        self._chunks: list[bytes] = []
        self._stream: Stream | None = None
        self.is_used = False
        """Whether it has carried a request before: then the other side may just be closing it."""

    @property
    def is_open(self) -> bool:
        """Whether it can carry a request."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes, seconds: float) -> Answer:
        """Send a request and wait for the whole answer.

        Raises:
            WireError: It failed; nobody knows whether the request was carried out.
            TimeoutError: There was no complete answer in time.
        """
        return await self._send(request, seconds)

    async def open(self, request: bytes, seconds: float) -> tuple[Answer, Stream]:
        """Send a request whose answer is read line by line.

        Args:
            request: The request.
            seconds: How long the head of the answer may take.

        Returns:
            The head; one that is an error has its body too. And the lines.
        """
        self._stream = stream = Stream(self)
        return await self._send(request, seconds), stream

    async def _send(self, request: bytes, seconds: float) -> Answer:
        if self._transport is None:
            raise WireError("not connected")
        waiter: asyncio.Future[Answer] = self._loop.create_future()
        self._head = waiter
        self._answer, self._chunks, self._in_head = Answer(), [], True
        self._parser = httptools.HttpResponseParser(self)
        limit = self._loop.call_later(seconds, self._late)
        self._transport.write(request)
        try:
            return await waiter
        except BaseException:
            # What comes now is the answer to a question that nobody asks any more.
            self.close()
            raise
        finally:
            limit.cancel()

    def close(self) -> None:
        """Close it, whatever it carries."""
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Take no more from the connection for now."""
        if self._transport is not None and self.is_open:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Take more again."""
        if self._transport is not None and self.is_open:
            self._transport.resume_reading()

    def _late(self) -> None:
        if self._head is not None and not self._head.done():
            self._head.set_exception(TimeoutError("no answer in time"))

    def _fail(self, error: Exception) -> None:
        if self._head is not None and not self._head.done():
            self._head.set_exception(error)
        if self._stream is not None:
            self._stream.end(error)

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport over."""
        # Those of uvloop are no subclasses of it.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        if self._parser is None:
            self.close()
            return
        if self._in_head:
            # Taken as a whole: to be called for each of its lines costs more than all else here.
            self._answer.head += data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(WireError(f"not an HTTP answer: {error}"))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        self._fail(WireError(f"the connection was closed: {exc}" if exc else "closed"))

    # What httptools tells.

    def on_headers_complete(self) -> None:
        """A stream is open from here on."""
        self._in_head = False
        if self._parser is not None:
            self._answer.status = self._parser.get_status_code()
        if self._stream is not None and self._answer.status < 400:
            self._done()

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        if self._stream is not None and self._answer.status < 400:
            self._stream.feed(body)
        else:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        """The answer is complete."""
        keeps = self._parser is not None and self._parser.should_keep_alive()
        self._parser = None
        if self._stream is not None:
            self._stream.end(None)
            self._stream = None
        self._answer.body = b"".join(self._chunks)
        self.is_used = True
        if keeps and self.is_open:
            self._freed(self)
        else:
            self.close()
        self._done()
        # An idle connection would keep it: a part of a list is megabytes.
        self._head, self._answer, self._chunks = None, Answer(), []

    def _done(self) -> None:
        if self._head is not None and not self._head.done():
            self._head.set_result(self._answer)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens, and how to be sure of it."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    name: str | None = None
    """The name that its certificate is for, where that is not the host."""
    proxy: tuple[str, int] | None = None
    """Host and port of an HTTP proxy in between."""


def request(method: str, target: str, fields: bytes, body: bytes | None) -> bytes:
    """Write a request.

    Args:
        method: The method.
        target: What is asked for.
        fields: The lines of its head, from `lines`.
        body: The body; None means that it has none.

    Raises:
        ValueError: The target would end its line.
    """
    first = f"{method} {target} HTTP/1.1\r\n"
    if first.count("\n") != 1:
        raise ValueError("a line break in the target of a request")
    length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
    return b"".join((first.encode("latin-1"), fields, length, b"\r\n", body or b""))


def lines(headers: Iterable[tuple[str, str]]) -> bytes:
    """Write headers as the lines of a head.

    Raises:
        ValueError: One of them would end its line.
    """
    written = [f"{name}: {said}" for name, said in headers]
    if any("\n" in line or "\r" in line for line in written):
        raise ValueError("a line break in the head of a request")
    return "".join(f"{line}\r\n" for line in written).encode("latin-1")
