"""The connections to one server, kept open between requests."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from breakwater_runtime.backends.codec.http.connection import Connection

IDLE_SECONDS = 4.0
"""How long an unused connection is kept: less than the 5 s after which common servers close it, so
that hardly a request meets a connection that is just being closed."""

WAIT_SECONDS = 30.0
"""How long a request waits for a connection while all of them are in use."""

Dial = Callable[[Callable[[], Connection]], Awaitable[Connection]]
"""Opens a connection to the server, of the protocol that it is given. Raises OSError."""


class BusyError(Exception):
    """All connections are in use, and none became free in time."""


class Connections:
    """A pool of them."""

    def __init__(self, dial: Dial, limit: int) -> None:
        """Have at most `limit` at once, streams that clients listen to not counted."""
        self._dial = dial
        self.limit = limit
        self._idle: list[Connection] = []
        self._used = 0
        self._closed = False
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._sweep: asyncio.TimerHandle | None = None
        self._streams: set[Connection] = set()

    @property
    def used(self) -> int:
        """How many carry a request."""
        return self._used

    @property
    def open(self) -> int:
        """How many there are."""
        return self._used + len(self._idle)

    @property
    def waiting(self) -> int:
        """How many requests wait for one."""
        return len(self._waiters)

    async def take(self) -> Connection:
        """Get one for a request; `give` it back.

        Raises:
            OSError: The server cannot be reached.
            BusyError: All are in use.
        """
        if self._used >= self.limit:
            await self._turn()
        else:
            self._used += 1
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
        try:
            return await self._dial(Connection)
        except BaseException:
            self._free()
            raise

    async def _turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(turn)
        try:
            await asyncio.wait_for(turn, WAIT_SECONDS)
        except TimeoutError as error:
            raise BusyError from error
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._free()
            raise
        finally:
            with suppress(ValueError):
                self._waiters.remove(turn)

    def give(self, connection: Connection) -> None:
        """Take one back as soon as its answer is complete."""
        connection.finish(self._returned)

    def _returned(self, connection: Connection) -> None:
        if connection.reusable and not self._closed:
            loop = asyncio.get_running_loop()
            connection.idle_since = loop.time()
            self._idle.append(connection)
            if self._sweep is None:
                self._sweep = loop.call_later(IDLE_SECONDS, self._close_idle)
        else:
            connection.abort()
        self._free()

    def _free(self) -> None:
        """Hand a place over to whoever waits longest."""
        while self._waiters:
            turn = self._waiters.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._used -= 1

    async def stream(self) -> Connection:
        """Open one that nobody else uses, beyond the limit: it stays open for long.

        Raises:
            OSError: The server cannot be reached.
        """
        connection = await self._dial(Connection)
        self._streams.add(connection)
        return connection

    def end_stream(self, connection: Connection) -> None:
        """End one that `stream` opened."""
        self._streams.discard(connection)
        connection.abort()

    def _close_idle(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = None
        oldest = loop.time() - IDLE_SECONDS
        kept = []
        for connection in self._idle:
            if connection.reusable and connection.idle_since > oldest:
                kept.append(connection)
            else:
                connection.abort()
        self._idle = kept
        if kept:
            self._sweep = loop.call_later(kept[0].idle_since - oldest, self._close_idle)

    def close(self) -> None:
        """Close what is idle; what is in use ends with its request."""
        self._closed = True
        for connection in (*self._idle, *self._streams):
            connection.abort()
        self._idle.clear()
        self._streams.clear()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
