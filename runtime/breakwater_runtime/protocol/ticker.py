"""One clock for all that waits: no timer and no task per stream."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

TICK_SECONDS = 1.0

SOON_SECONDS = 0.02
"""How long work may wait before somebody watches over it: most is done by then."""

HEARTBEAT_SECONDS = 25.0
"""How long a stream may be silent where nobody says otherwise."""


class Waiting(Protocol):
    """What wants to know how time goes by."""

    def tick(self, now: float) -> None:
        """Look at the clock."""


class Suspended(Protocol):
    """Work that waits for something."""

    def watch(self) -> None:
        """Begin to watch over it."""


class Ticker:
    """Tells all that wait what time it is, once a second while anybody waits."""

    def __init__(self, heartbeat: Callable[[], float] = lambda: HEARTBEAT_SECONDS) -> None:
        """Have streams that are silent for longer than `heartbeat` says kept alive."""
        self._heartbeat = heartbeat
        self._long = heartbeat()
        self._waiting: dict[Waiting, None] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._soon: dict[Suspended, None] = {}
        self._soon_scheduled = False

    def is_long(self, seconds: float) -> bool:
        """Say whether a stream has been silent for so long that something should be said."""
        return seconds >= self._long

    def watch_soon(self, work: Suspended) -> None:
        """Have it watched in a moment, unless it is done before; one timer for all."""
        self._soon[work] = None
        if not self._soon_scheduled:
            self._soon_scheduled = True
            asyncio.get_running_loop().call_later(SOON_SECONDS, self._watch)

    def done(self, work: Suspended) -> None:
        """Let it be."""
        self._soon.pop(work, None)

    def _watch(self) -> None:
        self._soon_scheduled = False
        soon, self._soon = self._soon, {}
        for work in soon:
            work.watch()

    def add(self, waiting: Waiting) -> None:
        """Let it know from now on."""
        self._waiting[waiting] = None
        if not self._scheduled:
            self._schedule()

    def discard(self, waiting: Waiting) -> None:
        """Let it know no more."""
        self._waiting.pop(waiting, None)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what `tick` found to do, which must not wait itself."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _schedule(self) -> None:
        self._scheduled = True
        asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._scheduled = False
        now = asyncio.get_running_loop().time()
        self._long = self._heartbeat()  # once for all: thousands may wait
        for waiting in tuple(self._waiting):
            waiting.tick(now)
        if self._waiting:
            self._schedule()
