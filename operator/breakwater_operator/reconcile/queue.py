"""Who is next: a queue of keys, each in it at most once and worked on by one worker at a time."""

import asyncio
import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable
from enum import IntEnum

from breakwater_operator.kube.backoff import Backoff
from breakwater_operator.reconcile.groups import Groups

FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 60.0
"""Nobody tells us that a quota was raised: so long it may take until we find out."""

MANY = 16
"""From so many changes on that wait for their pass, passes begin in groups."""

REMEMBERED_SECONDS = 60.0
"""How long it is remembered when a key had a pass."""

Key = tuple[str, str]
"""Namespace and name of an McpServer."""


class Priority(IntEnum):
    """Who goes first."""

    CHANGE = 0
    """Somebody changed something and waits for it."""
    REPORT = 1
    """Pods or controllers say how far they are, or a date has come."""
    ROUTINE = 2
    """Nothing is known to have changed: the start, the regular look."""


class Queue:
    """Keys that wait for a pass.

    A key that is added twice is passed once. One that is added while its pass runs gets another
    pass afterwards, never two at once.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        backoff: Callable[[], Backoff] = lambda: Backoff(FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS),
    ) -> None:
        """Begin empty.

        Args:
            clock: Seconds that only go up.
            backoff: Makes the delays between the failures of one key.
        """
        self._clock = clock
        self._backoff = backoff
        self._waiting: dict[Key, tuple[Priority, float]] = {}
        self._ready: list[tuple[Priority, float, Key]] = []
        self._due: dict[Key, float] = {}
        self._later: list[tuple[float, Key]] = []
        self._busy: dict[Key, float] = {}
        self._taken = 0.0
        self._dirty: dict[Key, Priority] = {}
        self._failures: dict[Key, Backoff] = {}
        self._retries: dict[Key, float] = {}
        self._passed: dict[Key, float] = {}
        self._turn = asyncio.Lock()
        self._groups = Groups()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due: float | None = None

    def __len__(self) -> int:
        return len(self._waiting) + len(self._dirty)

    @property
    def failing(self) -> int:
        """How many keys' last pass failed, and is tried again."""
        return len(self._failures)

    @property
    def oldest_seconds(self) -> float:
        """How long the key that waits longest has waited, or the longest pass has run."""
        since = [added for _, added in self._waiting.values()] + list(self._busy.values())
        return self._clock() - min(since) if since else 0.0

    @property
    def stuck_seconds(self) -> float:
        """How long the longest pass has run, or keys have waited of which none was taken.

        That a key waits long says nothing where others are taken meanwhile: there may be many, and
        an API server that answers none of them.
        """
        now = self._clock()
        running = min(self._busy.values(), default=now)
        waiting = min((added for _, added in self._waiting.values()), default=now)
        return now - min(running, max(waiting, self._taken))

    def due_seconds(self, key: Key) -> float | None:
        """In how long a key gets its next pass without a change; None where none is planned."""
        return self._due[key] - self._clock() if key in self._due else None

    def add(self, key: Key, priority: Priority = Priority.CHANGE) -> None:
        """Ask for a pass soon."""
        self._due.pop(key, None)
        if key in self._busy:
            self._dirty[key] = min(priority, self._dirty.get(key, priority))
            return
        known = self._waiting.get(key)
        if known is not None and known[0] <= priority:
            return
        self._waiting[key] = (priority, self._clock() if known is None else known[1])
        heapq.heappush(self._ready, (priority, self._waiting[key][1], key))
        self._wake_one()

    def add_after(self, key: Key, seconds: float) -> None:
        """Ask for a pass later; an earlier date that is already set stays."""
        due = self._clock() + seconds
        if due < self._due.get(key, float("inf")) and key not in self._waiting:
            self._due[key] = due
            heapq.heappush(self._later, (due, key))
            self._set_timer()

    def add_report(self, key: Key, seconds: float, apart_seconds: float) -> None:
        """Ask for a pass for one of several reports that are likely to come.

        Args:
            key: The key.
            seconds: How long more reports are waited for.
            apart_seconds: The least time from the last pass to this one.
        """
        since = self._clock() - self._passed.get(key, -apart_seconds)
        self.add_after(key, max(seconds, apart_seconds - since))

    def add_failed(
        self, key: Key, at_least_seconds: float = 0.0, *, got_somewhere: bool = False
    ) -> None:
        """Ask for another pass after a delay that grows with each failure.

        A pass that something else woke before its time leaves the date of the retry as it is: what
        happens meanwhile, as pods get ready, is no reason to wait longer.

        Args:
            key: The server.
            at_least_seconds: The shortest delay.
            got_somewhere: Whether the pass did some of its work before it failed; the delays begin
                anew then.
        """
        if got_somewhere:
            self.succeeded(key)
        now = self._clock()
        if self._retries.get(key, now) <= now:
            backoff = self._failures.setdefault(key, self._backoff())
            self._retries[key] = now + backoff.next_seconds()
        self.add_after(key, max(self._retries[key] - now, at_least_seconds))

    def failures(self, key: Key) -> int:
        """How many passes over a key have failed in a row."""
        return self._failures[key].count if key in self._failures else 0

    def succeeded(self, key: Key) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)
        self._retries.pop(key, None)

    def forget(self, key: Key) -> None:
        """Drop a key whose McpServer is gone."""
        self.succeeded(key)
        self._due.pop(key, None)
        self._dirty.pop(key, None)
        self._waiting.pop(key, None)

    def clear(self) -> None:
        """Drop all keys; those being worked on end by themselves."""
        for known in (self._waiting, self._due, self._dirty, self._failures, self._retries):
            known.clear()
        self._ready.clear()
        self._later.clear()

    async def get(self) -> Key:
        """Wait for the next key; it is busy until `done`."""
        while True:
            self._promote()
            if self._first() is Priority.CHANGE and len(self._waiting) > MANY:
                await self._groups.join()
            elif self._first() not in {None, Priority.CHANGE}:
                # Thousands that nobody waits for take a turn of the loop each, so that between any
                # two of them it is heard when somebody does.
                async with self._turn:
                    await asyncio.sleep(0)
            if self._first() is not None:
                _, _, key = heapq.heappop(self._ready)
                del self._waiting[key]
                self._busy[key] = self._taken = self._clock()
                return key
            await self._woken()

    def _first(self) -> Priority | None:
        """The priority of who is next; None where nobody waits."""
        while self._ready:
            priority, added, key = self._ready[0]
            if self._waiting.get(key) == (priority, added):
                return priority
            heapq.heappop(self._ready)
        return None

    def done(self, key: Key) -> None:
        """Say that the pass over a key is over."""
        self._busy.pop(key, None)
        self._passed.pop(key, None)
        self._passed[key] = self._clock()
        self._forget_old_passes()
        priority = self._dirty.pop(key, None)
        if priority is not None:
            self.add(key, priority)

    def _forget_old_passes(self) -> None:
        # They are in the order of their ends.
        for key in list(itertools.islice(self._passed, 2)):
            if self._passed[key] < self._clock() - REMEMBERED_SECONDS:
                del self._passed[key]

    def _promote(self) -> None:
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            due, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                self.add(key, Priority.REPORT)
        self._set_timer()

    async def _woken(self) -> None:
        """Wait for a key; each that is added wakes one worker, and not all that wait."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._set_timer()
        try:
            await waiter
        except asyncio.CancelledError:
            # What this one was woken for is for another one to take.
            if waiter.done() and not waiter.cancelled():
                self._wake_one()
            raise

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _set_timer(self) -> None:
        """Be told when the next key is due, where all others may be waiting."""
        due = self._later[0][0] if self._later and self._waiters else None
        if due == self._timer_due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_due = None, due
        if due is not None:
            wait = max(0.0, due - self._clock())
            self._timer = asyncio.get_running_loop().call_later(wait, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer, self._timer_due = None, None
        self._wake_one()
