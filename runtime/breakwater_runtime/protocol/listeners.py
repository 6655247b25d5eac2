"""Open `subscriptions/listen` streams: thousands of them, each with no more than its request."""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

from starlette.types import Receive, Send

from breakwater_runtime.backends.backend import Subscription
from breakwater_runtime.protocol import framing, streams
from breakwater_runtime.protocol.reply import notification
from breakwater_runtime.protocol.ticker import Ticker

WAITING_MAX = 1024
"""How many events may wait for a client that does not read; then its stream ends, and it fetches
anew what it wants to know."""


class Listener:
    """One stream of changes.

    The request's own task waits for the client to leave. Only while there is something to write
    does another task exist.
    """

    def __init__(self, receive: Receive, send: Send, ticker: Ticker) -> None:
        """Listen for the client of a request."""
        self._receive = receive
        self._send = send
        self._ticker = ticker
        self._waiting: deque[bytes] = deque()
        self._final = b""
        self._ending = False
        self._writing = False
        self._begun = False
        self._written = 0.0

    def deliver(self, method: str, params: Mapping[str, Any] | None) -> None:
        """Send a notification, sometime."""
        if self._ending:
            return
        if len(self._waiting) >= WAITING_MAX:
            self.end()
            return
        self._waiting.append(streams.frame(notification(method, params)))
        self._write_soon()

    def end(self) -> None:
        """End the stream with the request's result."""
        if not self._ending:
            self._ending = True
            self._waiting.append(self._final)
            self._write_soon()

    async def serve(self, subscription: Subscription, message_id: str | int) -> None:
        """Keep the stream open until one side has enough."""
        self._final = streams.frame(framing.result(message_id, subscription.result))
        try:
            await self._send(
                {"type": "http.response.start", "status": 200, "headers": streams.HEADERS}
            )
            self._begun = True
            self._write_soon()
            while (await self._receive())["type"] != "http.disconnect":
                pass
        finally:
            subscription.close()
            self._ending = True
            self._waiting.clear()

    def tick(self, now: float) -> None:
        """Say something into the silence."""
        if self._begun and not self._writing and self._ticker.is_long(now - self._written):
            self._waiting.append(streams.HEARTBEAT)
            self._write_soon()

    def _write_soon(self) -> None:
        if self._begun and not self._writing and self._waiting:
            self._writing = True
            self._ticker.spawn(self._write())

    async def _write(self) -> None:
        try:
            while self._waiting:
                content = b"".join(self._waiting)
                self._waiting.clear()
                self._written = asyncio.get_running_loop().time()
                await self._send(streams.body(content, more=not self._ending))
        finally:
            self._writing = False


class Listeners:
    """All that are open: one look at all of them costs less than one that each has called."""

    def __init__(self, ticker: Ticker) -> None:
        """Look once a second, as the ticker has it, while there are any."""
        self._ticker = ticker
        self._open: dict[Listener, None] = {}

    def add(self, listener: Listener) -> None:
        """Look at a stream from now on."""
        if not self._open:
            self._ticker.add(self)
        self._open[listener] = None

    def discard(self, listener: Listener) -> None:
        """Look at it no more."""
        self._open.pop(listener, None)
        if not self._open:
            self._ticker.discard(self)

    def end(self) -> None:
        """End every stream with its request's result."""
        for listener in list(self._open):
            listener.end()

    def tick(self, now: float) -> None:
        """Say something into every silence that lasts."""
        for listener in self._open:
            listener.tick(now)
