"""Event streams: frames, and streams that outlive the response that carries them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from starlette.types import Message, Send

from breakwater_runtime.protocol.ticker import Ticker

HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]
HEARTBEAT = b": \n\n"

RESUME_SECONDS = 15.0
"""How long a stream waits for a client that lost its connection."""

RETRY_MILLISECONDS = 1000
"""When a client should come back to a stream that ended before its answer."""


def frame(data: bytes, event_id: str = "") -> bytes:
    """Make one event of a JSON-RPC message."""
    if event_id:
        return b"id: %b\nevent: message\ndata: %b\n\n" % (event_id.encode(), data)
    return b"event: message\ndata: %b\n\n" % data


def body(content: bytes, *, more: bool = True) -> Message:
    """Make a part of a response."""
    return {"type": "http.response.body", "body": content, "more_body": more}


class Budget:
    """How much may be kept for replay: a bound for each session, and one for all.

    What has been written goes first where it was written longest ago. What no response has carried
    yet is kept as long as there is one: of that no more comes than requests are in flight.
    """

    def __init__(self, limit: Callable[[], int], parent: "Budget | None" = None) -> None:
        """Allow `limit` bytes, which count against `parent` too."""
        self._limit = limit
        self._parent = parent
        self._used = 0
        self._holders: dict[EventStream, None] = {}
        """Streams that keep something, with the one that was added to last at the end."""

    @property
    def used(self) -> int:
        """How many bytes are kept."""
        return self._used

    def take(self, stream: "EventStream", count: int) -> None:
        """Count bytes that a stream keeps from now on."""
        self._used += count
        self._holders.pop(stream, None)
        self._holders[stream] = None
        if self._parent is not None:
            self._parent.take(stream, count)

    def give_back(self, stream: "EventStream", count: int, *, is_empty: bool) -> None:
        """Count bytes that a stream no longer keeps."""
        self._used -= count
        if is_empty:
            self._holders.pop(stream, None)
        if self._parent is not None:
            self._parent.give_back(stream, count, is_empty=is_empty)

    def make_room(self) -> None:
        """Let streams drop what they can until the bounds hold."""
        limit = self._limit()
        looked_at: list[EventStream] = []
        while self._used > limit and self._holders:
            oldest = next(iter(self._holders))
            oldest.drop()
            if oldest in self._holders:
                del self._holders[oldest]
                looked_at.append(oldest)
        for each in looked_at:
            self._holders[each] = None
        if self._parent is not None:
            self._parent.make_room()


class EventStream:
    """A stream whose events have ids: what one response did not carry, the next one does.

    Events are kept until the stream is forgotten, within the budget.
    """

    def __init__(
        self, key: int, budget: Budget, ticker: Ticker, *, ends: Callable[[], None]
    ) -> None:
        """Begin a stream; `ends` is called once nobody can come back for it."""
        self.key = key
        self._budget = budget
        self._ticker = ticker
        self._ends = ends
        self._events: deque[tuple[int, bytes]] = deque()
        self._next = 0
        self._cursor = 0
        self._send: Send | None = None
        self.through_peer = False
        """Whether that response goes through another pod."""
        self._written = 0.0
        self._deadline: float | None = None
        self._closed = False
        self._lock = asyncio.Lock()

    @property
    def attached(self) -> bool:
        """Whether a response carries it now."""
        return self._send is not None

    def put(self, data: bytes) -> None:
        """Add a JSON-RPC message."""
        self._append(frame(data, f"{self.key}-{self._next}"))

    def prime(self) -> None:
        """Add an event without a message: from now on a client has an id to come back with."""
        event_id = f"{self.key}-{self._next}"
        self._append(f"id: {event_id}\nretry: {RETRY_MILLISECONDS}\ndata: \n\n".encode())

    def _append(self, event: bytes) -> None:
        self._events.append((self._next, event))
        self._next += 1
        self._budget.take(self, len(event))
        self._budget.make_room()

    def drop(self) -> None:
        """Keep no more than what a response is about to carry."""
        if self._deadline is not None:
            self._ends()  # the client is away, and can only be told that it is over
        while self._events and self._events[0][0] < self._cursor:
            self._pop()

    def _pop(self) -> None:
        _, event = self._events.popleft()
        self._budget.give_back(self, len(event), is_empty=not self._events)

    def has_lost(self, number: int) -> bool:
        """Say whether everything that came after an event has been dropped."""
        is_last = number >= self._next - 1
        return not is_last and not (self._events and self._events[-1][0] > number)

    def close(self) -> None:
        """Have no more events; the stream ends once they are all written."""
        self._closed = True

    def attach(self, send: Send, after: int = -1, *, through_peer: bool = False) -> None:
        """Let a response carry it, from the event behind `after`."""
        self._send = send
        self.through_peer = through_peer
        self._cursor = after + 1
        self._deadline = None
        self._written = asyncio.get_running_loop().time()
        self._ticker.add(self)

    def detach(self, send: Send) -> None:
        """Wait for the client to come back, unless another response carries it already."""
        if self._send is send:
            self._send = None
            self._deadline = asyncio.get_running_loop().time() + RESUME_SECONDS

    async def hand_over(self) -> None:
        """End the response and wait for the client to come back."""
        async with self._lock:
            send = self._send
            if send is not None:
                self.detach(send)
                await send(body(b"", more=False))

    async def flush(self) -> None:
        """Write what is not written yet, and the end where there is one."""
        async with self._lock:
            while self._send is not None and self._events and self._cursor < self._next:
                number, event = self._event_at_cursor()
                self._cursor = number + 1
                await self._write(self._send, body(event))
            self._budget.make_room()
            send = self._send
            if self._closed and send is not None:
                # It stays for a while: the client may not have got what was written last.
                self.detach(send)
                await send(body(b"", more=False))

    def _event_at_cursor(self) -> tuple[int, bytes]:
        oldest = self._events[0][0]
        return self._events[max(self._cursor - oldest, 0)]

    async def _write(self, send: Callable[[Message], Awaitable[None]], message: Message) -> None:
        self._written = asyncio.get_running_loop().time()
        await send(message)

    def forget(self) -> None:
        """Keep nothing."""
        self._ticker.discard(self)
        while self._events:
            self._pop()
        self._closed = True

    def tick(self, now: float) -> None:
        """Say something into the silence; end what nobody came back for."""
        if self._deadline is not None and now >= self._deadline:
            self._ticker.discard(self)
            self._ends()
        elif (
            self._send is not None
            and self._ticker.is_long(now - self._written)
            and not self._lock.locked()
        ):
            self._ticker.spawn(self._beat())

    async def _beat(self) -> None:
        async with self._lock:
            if self._send is not None:
                await self._write(self._send, body(HEARTBEAT))
