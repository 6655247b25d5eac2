"""One connection: bytes in, requests out, and nobody may hold it for nothing.

In place of uvicorn's protocol class, with the same parser (llhttp, which refuses ambiguous lengths
and line endings): that one has no limit for headers, no time-outs but for idle connections, and
does not notice that a client left once another request waits behind the first.
"""

import asyncio
import logging
import math
from typing import Any, Final, NoReturn, cast

import httptools

from breakwater_runtime.calls import Problem, Refused
from breakwater_runtime.http import scopes
from breakwater_runtime.http.addresses import network_of
from breakwater_runtime.http.exchange import Exchange
from breakwater_runtime.http.limits import CHUNK_OVERHEAD_BYTES, KEEP_ALIVE_SECONDS, LINGER_SECONDS
from breakwater_runtime.http.port import SPARE_CONNECTIONS, Port

logger = logging.getLogger(__name__)

NEVER: Final = math.inf
LOOKED_AT: Final = frozenset({b"host", b"transfer-encoding", b"expect"})

BLANK: Final = 0x20
"""A tab is less."""
RETRY_SECONDS = 5


# What a connection waits for: the first byte of a request, the end of its headers, the end of its
# body, the end of its answer; or its own end, and what still comes is thrown away.
IDLE: Final = 0
HEAD: Final = 1
BODY: Final = 2
ANSWER: Final = 3
DEAF: Final = 4


class _Stop(Exception):  # noqa: N818 - control flow through the parser, never seen outside
    """Parse no further."""


class Connection(asyncio.Protocol):
    """Speaks HTTP/1.1 with one client, one request at a time."""

    __slots__ = (
        "_beyond_limit",
        "_credited",
        "_ends",
        "_exchange",
        "_expects_continue",
        "_headers",
        "_hosts",
        "_limits",
        "_parser",
        "_phase",
        "_raw_bytes",
        "_reading_paused",
        "_refusal",
        "_since",
        "_stalled_since",
        "_transport",
        "_unread_bytes",
        "_url",
        "address",
        "deadline",
        "network",
        "port",
        "unread",
        "write_deadline",
    )

    def __init__(self, port: Port) -> None:
        self.port = port
        self.address = self.network = ""
        """Where it comes from, and what connections from there are counted together with."""
        self.deadline = NEVER
        """When `time_is_up` has to look at what the client sends."""
        self.write_deadline = NEVER
        """When it has to look at what the client reads."""
        self.unread: asyncio.Event | None = None
        """Set once the client has read enough; None while it does."""
        self._limits = port.limits()
        self._parser: Any = None
        self._phase = IDLE
        self._exchange: Exchange | None = None
        self._transport = cast("asyncio.Transport", None)
        self._reading_paused = False
        self._unread_bytes = self._credited = 0
        self._since = self._stalled_since = 0.0
        self._refusal: Refused | None = None
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._hosts = 0
        self._raw_bytes = 0
        self._expects_continue = False

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to listen to a client, unless there are too many."""
        self._transport = cast("asyncio.Transport", transport)
        port = self.port
        self._ends = scopes.ends_of(transport)
        self.address = self._ends.client[0] if self._ends.client is not None else ""
        self.network = network_of(self.address)
        port.opened(self)
        excess = port.excess(self, self._limits)
        self._beyond_limit = excess > 0
        if excess > SPARE_CONNECTIONS:
            port.count_cut("connections")
            self.abort()
            return
        self._parser = httptools.HttpRequestParser(self)
        self.deadline = port.loop.time() + self._limits.head_seconds

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio passes it
        """Tell the app that its client is gone."""
        self.port.closed(self)
        self._phase = DEAF
        self._parser = None
        self.deadline = self.write_deadline = NEVER
        if self._exchange is not None:
            self._exchange.disconnect()
            self._exchange = None
        self.resume_writing()

    def pause_writing(self) -> None:
        """Let the app wait: the client does not read as fast as it writes."""
        self.unread = asyncio.Event()
        self._unread_bytes = self._transport.get_write_buffer_size()
        self._stalled_since = self.port.loop.time()
        self.write_deadline = self._stalled_since + self._limits.answer_seconds

    def resume_writing(self) -> None:
        """Let it go on."""
        self.write_deadline = NEVER
        if self.unread is not None:
            self.unread.set()
            self.unread = None

    def data_received(self, data: bytes) -> None:
        """Parse what the client sent, within the limits of the phase."""
        phase = self._phase
        if phase >= ANSWER:
            if phase == ANSWER and data.strip(b"\r\n"):
                self._pipelined()
            return
        if phase == BODY:
            self._raw_bytes += len(data)
            self._feed(data)
            self._check_overhead()
            return
        if phase == IDLE:
            if not data.strip(b"\r\n"):  # some clients send one behind a body
                return
            self._begin()
        room = self._limits.head_bytes - self._raw_bytes
        if len(data) > room:
            if room:
                self._feed(data[:room])
            if self._phase == HEAD:
                self._refuse("headers", Refused(*self._too_much()))
            else:
                self.data_received(data[room:])
            return
        self._raw_bytes += len(data)
        self._feed(data)

    def _begin(self) -> None:
        self._phase = HEAD
        self._raw_bytes = 0
        self._limits = limits = self.port.limits()
        # A new connection's time runs since it began: its first byte does not prolong it.
        new = self.port.loop.time() + limits.head_seconds
        self.deadline = min(self.deadline, new)

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # Nothing is upgraded: the answer is plain HTTP/1.1. The parser has stopped for good.
            self._parser = httptools.HttpRequestParser(self)
            if data[upgrade.args[0] :].strip(b"\r\n") and self._phase == ANSWER:
                self._pipelined()
        except httptools.HttpParserError as error:
            if self._phase == ANSWER:
                self._pipelined()
            else:
                self._malformed(error)

    def _pipelined(self) -> None:
        """End the connection after this answer.

        Clients must be ready for that (RFC 9112, 9.3.2). A request that waited here would need
        memory, and hide from the app that the client left.
        """
        self.port.count_cut("pipelined")
        self._phase = DEAF
        if self._exchange is not None:
            self._exchange.keep_alive = False

    def _malformed(self, error: Exception) -> None:
        if self._refusal is not None:
            problem = self._refusal.problem
            reason = "headers" if problem in _HEAD_PROBLEMS else _reason(problem)
            self._refuse(reason, self._refusal)
        elif self._parser.get_method() == b"PRI" or "HTTP version" in str(error):
            self._refuse("version", Refused(Problem.HTTP_VERSION_NOT_SUPPORTED))
        else:
            self._refuse("malformed", Refused(Problem.BAD_REQUEST))

    def _too_much(self) -> tuple[Problem, str]:
        limits = self._limits
        if not self._headers and len(self._url) > limits.url_bytes:
            return Problem.URL_TOO_LONG, f"The URL is longer than {limits.url_bytes} bytes."
        return (
            Problem.HEADERS_TOO_LARGE,
            f"The headers are larger than {limits.head_bytes} bytes.",
        )

    def _check_overhead(self) -> None:
        """Refuse chunks that are mostly framing: their bytes would be read for ever."""
        exchange = self._exchange
        if self._phase == BODY and exchange is not None:
            overhead = self._raw_bytes - exchange.received
            if overhead > CHUNK_OVERHEAD_BYTES + exchange.received:
                self._refuse("malformed", Refused(Problem.BAD_REQUEST))

    # The parser's side

    def on_message_begin(self) -> None:
        """Begin a request; there cannot be another one before the answer of the first."""
        if self._phase == ANSWER:
            raise _Stop
        self._url = b""
        self._headers = []
        self._hosts = 0
        self._expects_continue = False

    def on_url(self, url: bytes) -> None:
        """Take a part of the URL."""
        self._url += url
        if len(self._url) > self._limits.url_bytes:
            self._stop(*self._too_much())

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what stands behind a chunked body is none (RFC 9110, 6.5)."""
        if self._phase != HEAD:
            return
        headers, limit = self._headers, self._limits.header_count
        if len(headers) >= limit:
            self._stop(Problem.HEADERS_TOO_LARGE, f"There are more than {limit} headers.")
        name = scopes.USUAL.get(name) or name.lower()
        # White space around a value is not part of it (RFC 9110, 5.5).
        if value and (value[0] <= BLANK or value[-1] <= BLANK):
            value = value.strip(b" \t")
        if name in LOOKED_AT:
            self._look_at(name, value)
        headers.append((name, value))

    def _look_at(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            self._hosts += 1
        elif name == b"expect":
            self._expects_continue = value.lower() == b"100-continue"
        elif value.lower() != b"chunked":
            self._stop(Problem.BAD_REQUEST, "The only Transfer-Encoding understood is chunked.")

    def on_headers_complete(self) -> None:
        """Let the app begin to answer."""
        version = self._parser.get_http_version()
        if version != "1.1":
            self._check_version(version)
        elif self._hosts != 1:
            self._stop(Problem.BAD_REQUEST, "There must be exactly one Host header.")
        scope = self._scope(self._parser.get_method().decode("ascii"), version)
        self._phase = BODY
        self._raw_bytes = 0
        self._since = self.port.loop.time()
        self._credited = 0
        self.deadline = self._since + self._limits.body_seconds
        self._exchange = exchange = Exchange(
            self,
            scope,
            keep_alive=version == "1.1" and self._parser.should_keep_alive(),
            expects_continue=self._expects_continue,
        )
        self._start(exchange)

    def _start(self, exchange: Exchange) -> None:
        port, app = self.port, self.port.app
        if self._beyond_limit and port.excess(self, self._limits) > 0:
            port.count_cut("connections")
            exchange.keep_alive = False
            app = port.refusing(
                Refused(
                    Problem.OVERLOADED,
                    "The server has as many connections as it takes.",
                    retry_after=RETRY_SECONDS,
                )
            )
        port.start(exchange, exchange.run(app))

    def _check_version(self, version: str) -> None:
        if version != "1.0":
            self._stop(Problem.HTTP_VERSION_NOT_SUPPORTED)
        encodings = any(name == b"transfer-encoding" for name, _ in self._headers)
        if encodings or self._hosts > 1:
            self._stop(Problem.BAD_REQUEST)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if self._exchange is not None:
            self._exchange.take_body(body)

    def on_message_complete(self) -> None:
        """Know that the request is whole: from now on the client may take its time."""
        self._phase = ANSWER
        self.deadline = NEVER
        if self._exchange is not None:
            self._exchange.end_body()

    def _stop(self, problem: Problem, message: str = "") -> NoReturn:
        self._refusal = Refused(problem, message)
        raise _Stop

    def _scope(self, method: str, version: str) -> dict[str, Any]:
        try:
            return scopes.scope_of(self._ends, method, version, self._url, self._headers)
        except ValueError:
            self._stop(Problem.BAD_REQUEST)

    # The exchange's side

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._transport.write(data)

    def pause_reading(self) -> None:
        """Let the client wait: the app does not read as fast as it sends."""
        if not self._reading_paused and self._phase == BODY:
            self._reading_paused = True
            self._transport.pause_reading()
            self.deadline = NEVER

    def resume_reading(self) -> None:
        """Let it go on."""
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
            if self._phase == BODY:
                self._since = self.port.loop.time()
                self.deadline = self._since + self._limits.body_seconds

    def is_last(self, exchange: Exchange) -> bool:
        """Say whether the connection ends with this answer."""
        return self._phase != ANSWER or self.port.draining or exchange is not self._exchange

    def finished(self, exchange: Exchange) -> None:
        """Go on to the next request, or end well."""
        if exchange is not self._exchange:
            return
        self._exchange = None
        if exchange.keep_alive and self._phase == ANSWER:
            self._phase = IDLE
            self.deadline = self.port.loop.time() + KEEP_ALIVE_SECONDS
            return
        whole = self._phase == ANSWER
        self._phase = DEAF
        if whole:
            self._close()
        else:
            self._linger()

    def _close(self) -> None:
        self._since = self.port.loop.time()
        self.deadline = self._since + self._limits.answer_seconds
        self._transport.close()

    def _linger(self) -> None:
        """Say that nothing more comes, and listen on until the client has understood."""
        self._since = self.port.loop.time()
        self.deadline = self._since + LINGER_SECONDS
        self.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def abandon(self) -> None:
        """End the connection of a client that takes its answer so slowly that others wait."""
        self.port.count_cut("slow_reader")
        self.abort()

    def abort(self) -> None:
        """End the connection without a word."""
        self._phase = DEAF
        self._transport.abort()

    # The server's side

    def retire(self) -> None:
        """End the connection as soon as nothing is under way on it."""
        if self._phase == IDLE:
            self._phase = DEAF
            self._close()

    def cut(self) -> None:
        """Answer in place of an app that does not end, or close."""
        if self._exchange is None:
            self.abort()
            return
        self._exchange = other = self._exchange.replace()
        self.port.start(other, other.end_with(Problem.SHUTTING_DOWN))

    def time_is_up(self, now: float) -> None:
        """End what took too long."""
        if self.write_deadline <= now:
            self._look_at_reader(now)
        if self.deadline > now:
            return
        if self._phase == BODY:
            self._look_at_sender(now)
        elif self._phase == HEAD:
            self._refuse("slow_headers", Refused(Problem.REQUEST_TIMEOUT))
        elif self._phase == IDLE:
            self._phase = DEAF
            self._close()
        else:
            self._end(now)

    def _end(self, now: float) -> None:
        """Close for good, once the client has had its time to read what is on its way."""
        latest = self._since + self._limits.answer_seconds
        if self._transport.get_write_buffer_size() and now < latest:
            self.deadline = latest
        else:
            self.abort()

    def _look_at_sender(self, now: float) -> None:
        exchange = self._exchange
        received = exchange.received if exchange is not None else 0
        moved, self._credited = received - self._credited, received
        self.deadline = self._prolonged(now, self._since, self._limits.body_seconds, moved)
        self._since = self.deadline - self._limits.body_seconds
        if self.deadline <= now:
            self._refuse("slow_body", Refused(Problem.REQUEST_TIMEOUT))

    def _look_at_reader(self, now: float) -> None:
        unread, seconds = self._transport.get_write_buffer_size(), self._limits.answer_seconds
        read, self._unread_bytes = self._unread_bytes - unread, unread
        self.write_deadline = self._prolonged(now, self._stalled_since, seconds, read)
        self._stalled_since = self.write_deadline - seconds
        if self.write_deadline <= now:
            self.port.count_cut("slow_reader")
            self.abort()

    def _prolonged(self, now: float, since: float, seconds: float, moved: int) -> float:
        """Say until when a client has time; bytes that moved give it more, but never much.

        Otherwise one that was fast once could be silent for as long as its megabytes bought it.
        """
        return min(since + seconds + moved / self._limits.slowest_bytes, now + seconds)

    def _refuse(self, reason: str, refusal: Refused) -> None:
        """Answer what is not a request, or will never be a whole one, and end the connection."""
        self.port.count_cut(reason)
        exchange, self._phase, self.deadline = self._exchange, DEAF, NEVER
        if exchange is not None:
            self.resume_reading()  # or nobody would notice that the client leaves
            exchange.fail(refusal)
            return
        self._exchange = exchange = Exchange(
            self, self._refused_scope(), keep_alive=False, expects_continue=False
        )
        exchange.end_body()
        self.port.start(exchange, exchange.run(self.port.refusing(refusal)))

    def _refused_scope(self) -> dict[str, Any]:
        """Make the scope of a request of which not much is known."""
        url, self._url = self._url, b"/"
        scope = self._scope("GET", "1.1")
        raw_path = url.partition(b"?")[0][: self._limits.url_bytes]
        return scope | {"path": raw_path.decode("ascii", "replace"), "headers": []}


_HEAD_PROBLEMS = frozenset({Problem.HEADERS_TOO_LARGE, Problem.URL_TOO_LONG})


def _reason(problem: Problem) -> str:
    return "version" if problem is Problem.HTTP_VERSION_NOT_SUPPORTED else "malformed"
