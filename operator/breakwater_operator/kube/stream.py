"""The lines of an answer that goes on, as a watch does."""

import asyncio
from collections import deque
from typing import Protocol

LINES_MAX = 1000
"""Lines of a stream that wait to be read before no more are taken from the connection."""

LINE_BYTES_MAX = 2**22
"""An object has at most 1.5 MiB in etcd, and JSON writes some of it longer."""


class WireError(OSError):
    """A connection failed, or said something that is not HTTP."""


class Source(Protocol):
    """A connection that lines come from."""

    def close(self) -> None:
        """Close it."""

    def pause(self) -> None:
        """Take no more from it for now."""

    def resume(self) -> None:
        """Take more again."""


class Stream:
    """The lines of an answer that does not end by itself."""

    def __init__(self, wire: Source) -> None:
        """Begin empty.

        Args:
            wire: What they come from.
        """
        self._wire = wire
        self._rest = b""
        self._lines: deque[bytes] = deque()
        self._is_paused = False
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Read no more; where it has not ended, the connection goes with it."""
        if not self._ended:
            self._wire.close()

    def feed(self, data: bytes) -> None:
        """Take a piece over."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX:
            self.end(WireError("a line is too long"))
            self._wire.close()
        self._lines.extend(lines)
        if len(self._lines) > LINES_MAX and not self._is_paused:
            self._is_paused = True
            self._wire.pause()
        self._wake()

    def end(self, error: Exception | None) -> None:
        """Say that nothing comes any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._ended:
            self._ended, self._error = True, error
            self._wake()

    async def lines(self, seconds: float) -> list[bytes]:
        """Wait for the next lines; none means the end.

        Args:
            seconds: How long to wait.

        Raises:
            WireError: The connection failed.
            TimeoutError: Nothing came in time.
        """
        if not self._lines and not self._ended:
            await self._news(seconds)
        found = list(self._lines)
        self._lines.clear()
        if self._is_paused:
            self._is_paused = False
            self._wire.resume()
        if not found and self._error is not None:
            raise self._error
        return found

    async def _news(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._until = loop.time() + seconds
        # One timer for many waits: lines come far more often than it rings.
        if self._timer is None:
            self._timer = loop.call_later(seconds, self._late)
        # A piece of a line is no news.
        while not self._lines and not self._ended:
            self._waiter = loop.create_future()
            await self._waiter

    def _late(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if (left := self._until - loop.time()) > 0:
            self._timer = loop.call_later(left, self._late)
        else:
            self._waiter.set_exception(TimeoutError("nothing came in time"))

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
