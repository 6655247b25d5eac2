"""Passing a request on to the pod that has its session, and its answer back, byte by byte.

One hop, never two: what was passed on once is answered where it arrives. The answer's last word is
ours where the owner dies: no call stays without an answer, and no stream breaks off.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import orjson
from prometheus_client import Counter
from starlette.types import Receive, Scope, Send

from breakwater_contract.names import FORWARD_VERSION
from breakwater_runtime.calls import Principal, Problem, Refused, Request
from breakwater_runtime.protocol import framing, streams
from breakwater_runtime.protocol.callers import Callers
from breakwater_runtime.protocol.dispatch import refused
from breakwater_runtime.protocol.peers import RETRY_SECONDS, Peers
from breakwater_runtime.protocol.session_ids import Pod
from breakwater_runtime.protocol.ticker import Ticker
from breakwater_runtime.protocol.upstream import Headers, LateError, LostError, Upstream

VERSION_HEADER = b"breakwater-forward"
POD_HEADER = b"breakwater-pod"
CALLER_HEADER = b"breakwater-caller"
OURS = b"breakwater-"

LEFT_OUT = frozenset(
    {
        # Credentials are for the pod that they were sent to.
        *(b"authorization", b"x-api-key", b"cookie", b"proxy-authorization"),
        # These are about one connection, or one body.
        *(b"host", b"connection", b"keep-alive", b"transfer-encoding", b"content-length"),
        *(b"te", b"trailer", b"upgrade", b"expect", b"x-request-id"),
        # Pages are answered by the pod that they asked.
        b"origin",
    }
)
LISTEN = b"subscriptions/listen"
TOOLS_CALL = b'"tools/call"'
"""What stands in every message that calls a tool: inside a text its quotes would be escaped."""

ANSWERED_BY_US = frozenset(
    {
        *(b"connection", b"keep-alive", b"transfer-encoding", b"date", b"x-request-id"),
        # Every answer of ours gets these, whoever made it.
        *(b"content-security-policy", b"referrer-policy", b"strict-transport-security"),
        *(b"x-content-type-options", b"x-frame-options"),
    }
)
NOT_KEPT = (b"cache-control", b"no-store")
"""Every answer of ours that says nothing else says this."""


class Forwarder:
    """Passes requests on."""

    def __init__(self, peers: Peers, callers: Callers, outcomes: Counter, ticker: Ticker) -> None:
        """Count in `outcomes` what became of each request."""
        self._peers = peers
        self._callers = callers
        self._outcomes = outcomes
        self._answered = outcomes.labels("answered")
        self._ticker = ticker
        self._streams: dict[Upstream, _Relay] = {}

    async def forward(self, owner: Pod, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a request answered by the owner of its session.

        Raises:
            Refused: The owner is gone, or does not answer.
        """
        body = await _body(receive) if scope["method"] == "POST" else b""
        if body is None:
            return
        request = Request.of(scope)
        request.calls_elsewhere = TOOLS_CALL in body
        is_stream = scope["method"] == "GET" or request.headers.get(b"mcp-method") == LISTEN
        relay = _Relay(is_stream, body, receive, send, self._ticker)
        try:
            await self._relay(owner, self._head(owner, scope, request, len(body)), relay)
        except Refused as refusal:
            outcome = "gone" if refusal.problem is Problem.SESSION_NOT_FOUND else "failed"
            self._outcomes.labels(outcome).inc()
            refusal.message_id = _only(relay.ids())
            raise
        except asyncio.CancelledError:
            request.message_id = _only(relay.ids())
            raise
        if relay.was_cut:
            self._outcomes.labels("lost").inc()
        else:
            self._answered.inc()

    async def _relay(self, owner: Pod, head: bytes, relay: "_Relay") -> None:
        kept = self._peers.idle(owner.address)
        if kept is not None and await self._through(kept, owner, head, relay):
            return
        await self._through(await self._peers.connect(owner.address), owner, head, relay)

    async def _through(self, upstream: Upstream, owner: Pod, head: bytes, relay: "_Relay") -> bool:
        """Relay through a connection; False: it had been closed before the request was there."""
        if relay.is_stream:
            self._streams[upstream] = relay
        try:
            upstream.send(head, relay.body)
            await relay.run(upstream)
        except LateError as late:
            raise self._peers.late(owner.address) from late
        except LostError as lost:
            if relay.is_gone:
                return True
            if upstream.used > 1 and not upstream.taken:
                return False
            raise Refused(Problem.SHUTTING_DOWN, retry_after=RETRY_SECONDS) from lost
        finally:
            self._streams.pop(upstream, None)
            self._peers.release(owner.address, upstream)
        return True

    def _head(self, owner: Pod, scope: Scope, request: Request, length: int) -> bytes:
        caller = self._callers.write(request, _principal(request))
        path, query = scope["raw_path"], scope["query_string"]
        lines = [
            b"%b %b HTTP/1.1" % (scope["method"].encode(), path + b"?" + query if query else path),
            b"host: " + owner.address.encode(),
            b"%b: %d" % (VERSION_HEADER, min(owner.version, FORWARD_VERSION)),
            b"%b: %b" % (POD_HEADER, owner.uid.encode()),
            b"%b: %b" % (CALLER_HEADER, caller),
            b"x-request-id: " + request.id.encode(),
        ]
        if length:
            lines.append(b"content-length: %d\r\nexpect: 100-continue" % length)
        lines += [
            name + b": " + value
            for name, value in scope["headers"]
            if name not in LEFT_OUT and not name.startswith(OURS)
        ]
        lines.append(b"\r\n")
        return b"\r\n".join(lines)

    def end_streams(self) -> None:
        """End streams that carry no call; their clients come back through another pod.

        One that answers a request says that we stop.
        """
        for upstream, relay in tuple(self._streams.items()):
            relay.is_moved = True
            upstream.finish()

    def close(self) -> None:
        """Close the connections that nothing uses."""
        self._peers.close()


class _Relay:
    """One answer on its way back."""

    def __init__(
        self, is_stream: bool, body: bytes, receive: Receive, send: Send, ticker: Ticker
    ) -> None:
        self.is_stream = is_stream
        """Whether it is a stream that carries no call, and ends when we do."""
        self.is_moved = False
        """Whether we ended it, for its client to come back through another pod."""
        self.is_gone = False
        """Whether the client left."""
        self.was_cut = False
        """Whether the owner went away in the middle of it."""
        self.body = body
        self._receive = receive
        self._send = send
        self._ticker = ticker
        self._upstream: Upstream | None = None
        self._watching: asyncio.Task[None] | None = None
        self._ids: list[str | int] | None = None

    def ids(self) -> list[str | int]:
        """Get the ids of the requests in the body."""
        if self._ids is None:
            self._ids = list(_ids(self.body))
        return self._ids

    async def run(self, upstream: Upstream) -> None:
        """Pass the answer on; most are there before anybody looks after the two ends."""
        self._upstream = upstream
        self._ticker.watch_soon(self)
        try:
            status, headers = await upstream.head()
            if _is_events(headers):
                await self._stream(upstream, status, headers)
            else:
                await self._whole(upstream, status, headers)
        finally:
            self._ticker.done(self)
            if self._watching is not None:
                self._watching.cancel()
                self._watching = None

    def watch(self) -> None:
        """Begin to look whether the client left, and whether the peer has the request."""
        if self._upstream is not None:
            self._upstream.watch()
            self._watching = asyncio.ensure_future(self._watch(self._upstream))

    async def _watch(self, upstream: Upstream) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not upstream.complete:
            self.is_gone = True
            upstream.abort()

    async def _whole(self, upstream: Upstream, status: int, headers: Headers) -> None:
        """Pass on an answer that can only be had whole; not before its end, so that it is."""
        content, more = await upstream.part()
        if more:
            parts = [content]
            while more:
                content, more = await upstream.part()
                parts.append(content)
            content = b"".join(parts)
        await self._begin(status, headers)
        await self._send(streams.body(content, more=False))

    async def _stream(self, upstream: Upstream, status: int, headers: Headers) -> None:
        self.ids()
        self.body = b""  # it may stay open for hours
        await self._begin(status, headers)
        more = True
        try:
            while more:
                part, more = await upstream.part()
                if self.is_moved:
                    part = b"".join((part, *self._last_words()))
                await self._send(streams.body(part, more=more))
        except LostError:
            if not self.is_gone:
                self.was_cut = True
                await self._send(streams.body(b"".join(self._last_words()), more=False))

    def _last_words(self) -> Iterator[bytes]:
        refusal = Refused(Problem.SHUTTING_DOWN)
        yield from (streams.frame(refused(each, refusal)) for each in self.ids())

    async def _begin(self, status: int, headers: Headers) -> None:
        kept = [each for each in headers if each[0] not in ANSWERED_BY_US and each != NOT_KEPT]
        await self._send({"type": "http.response.start", "status": status, "headers": kept})


def _principal(request: Request) -> Principal:
    if request.principal is None:  # a door without authentication in front: fail closed
        raise Refused(Problem.UNAUTHENTICATED)
    return request.principal


def _is_events(headers: Headers) -> bool:
    return any(
        name == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in headers
    )


def _ids(body: bytes) -> Iterator[str | int]:
    try:
        content: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return
    for message in content if isinstance(content, list) else [content]:
        if isinstance(message, dict) and "method" in message and framing.is_id(message.get("id")):
            yield message["id"]


def _only(ids: list[str | int]) -> str | int | None:
    return ids[0] if len(ids) == 1 else None


async def _body(receive: Receive) -> bytes | None:
    """Read a body; None: the client is gone."""
    message = await receive()
    parts: list[bytes] = []
    while message["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)
        message = await receive()
    return None
