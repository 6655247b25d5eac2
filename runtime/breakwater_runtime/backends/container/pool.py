"""Who gets which instance of a server: opened when wanted, closed when not."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from breakwater_runtime.backends.codec.greeting import GreetingError
from breakwater_runtime.backends.codec.instance import Instance, unavailable
from breakwater_runtime.backends.container.spares import Spares
from breakwater_runtime.backends.container.transport import OpeningError
from breakwater_runtime.calls import RpcError

logger = logging.getLogger(__name__)

STEADY_SECONDS = 10.0
"""An instance that lived so long, or answered anybody, is no failure when it ends."""

BACKOFF_SECONDS = 0.1
BACKOFF_SECONDS_MAX = 30.0

RESTART_SECONDS = 1.5
"""How long a caller waits for an instance in the place of one that has ended: callers are to know
within two seconds. The first instance of somebody is waited for as long as it may start."""

Key = tuple[str, str, bool | None]
"""Kind and name of whom an instance belongs to, and the era in which it is spoken to."""


Open = Callable[[Key], Awaitable[Instance]]


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many instances there may be, and for how long."""

    max: int = 32
    idle_seconds: float = 600.0


class Slot:
    """One place in the pool: the instance of one key, one after another."""

    def __init__(self) -> None:
        self.instance: Instance | None = None
        self.opening: asyncio.Task[Instance] | None = None
        self.failures = 0
        self.not_before = 0.0
        self.reason = ""
        self.had_one = False

    @property
    def is_restarting(self) -> bool:
        """Whether what is opened now takes the place of one that ended, or could not be opened."""
        return self.had_one or self.failures > 0

    @property
    def is_idle(self) -> bool:
        """Whether nobody uses it at the moment."""
        return self.opening is None and (self.instance is None or not self.instance.calls)


class Pool:
    """Keeps an instance for each key."""

    def __init__(
        self, backend: str, open_instance: Open, limits: PoolLimits, spares: Spares
    ) -> None:
        """Open instances by `open_instance` when they are wanted; `spares` count as instances."""
        self._backend = backend
        self._open = open_instance
        self._limits = limits
        self._spares = spares
        self._slots: dict[Key, Slot] = {}
        self._watches: set[asyncio.Task[None]] = set()
        self._closed = False
        self.limit = limits.max

    def ready(self, key: Key) -> Instance | None:
        """Get the instance of a key if it is there."""
        slot = self._slots.get(key)
        if slot is None or slot.instance is None or slot.instance.lost is not None:
            return None
        return slot.instance

    async def get(self, key: Key, *, patient: bool = False) -> Instance:
        """Get the instance of a key, opening it if need be.

        Args:
            key: Whose it is.
            patient: Whether to wait for one that is started again as long as that takes.

        Raises:
            RpcError: There is none, and none can be opened now.
            GreetingError: The server does not know this era.
        """
        instance = self.ready(key)
        if instance is not None:
            return instance
        slot = self._slot(key)
        if slot.opening is None:
            self._refuse_early(slot)
            slot.opening = asyncio.ensure_future(self._opened(key, slot))
            slot.opening.add_done_callback(_seen)
        bounded = slot.is_restarting and not patient
        return await self._result(slot.opening, RESTART_SECONDS if bounded else None)

    def _slot(self, key: Key) -> Slot:
        if self._closed:
            raise self._unavailable("is being stopped.")
        slot = self._slots.get(key)
        if slot is None:
            self._make_room(key)
            slot = self._slots[key] = Slot()
        return slot

    def _refuse_early(self, slot: Slot) -> None:
        """Start nothing again before its time.

        Raises:
            RpcError: It is too early.
        """
        wait = slot.not_before - asyncio.get_running_loop().time()
        if wait > 0:
            raise self._unavailable(f"is started again in {wait:.1f} s: {slot.reason}.", wait)

    async def _result(self, opening: asyncio.Task[Instance], bound: float | None) -> Instance:
        # Not awaited itself: several wait for it, and any of them may leave.
        done, _ = await asyncio.wait({opening}, timeout=bound)
        if not done:
            raise self._unavailable("is being started again.", RESTART_SECONDS)
        if opening.cancelled():
            raise self._unavailable("was stopped while it started.")
        try:
            return opening.result()
        except OpeningError as error:
            raise self._unavailable("could not be started.", BACKOFF_SECONDS) from error

    def _unavailable(self, said: str, wait_seconds: float | None = None) -> RpcError:
        message = f"Backend {self._backend} {said}"
        return unavailable(self._backend, message, retryable=True, wait_seconds=wait_seconds)

    async def _opened(self, key: Key, slot: Slot) -> Instance:
        try:
            instance = await self._open(key)
        except (OpeningError, RpcError) as error:
            slot.reason = "it could not be started"
            self._failed(slot)
            raise OpeningError(str(error)) from error
        except GreetingError:
            self._slots.pop(key, None)
            self._spares.nudge()
            raise
        finally:
            slot.opening = None
        slot.instance, slot.had_one = instance, True
        watch = asyncio.ensure_future(self._watch(slot, instance))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        return instance

    async def _watch(self, slot: Slot, instance: Instance) -> None:
        loop = asyncio.get_running_loop()
        since = loop.time()
        reason = await instance.wait_lost()
        if slot.instance is not instance:
            return
        slot.instance = None
        slot.reason = reason
        logger.warning(
            "a server's instance is gone", extra={"backend": self._backend, "reason": reason}
        )
        if instance.served or loop.time() - since >= STEADY_SECONDS:
            slot.failures = 0
            slot.not_before = 0.0
        else:
            self._failed(slot)

    def _failed(self, slot: Slot) -> None:
        slot.failures += 1
        wait = min(BACKOFF_SECONDS * 2.0 ** (slot.failures - 1), BACKOFF_SECONDS_MAX)
        slot.not_before = asyncio.get_running_loop().time() + wait

    def _make_room(self, key: Key) -> None:
        """Close what was idle longest where there are too many.

        Raises:
            RpcError: All of them are in use.
        """
        if len(self) < self._limits.max:
            return
        if key[0] and self._spares.waiting:
            return  # it is taken, or goes
        if self._spares.give_way():
            return
        idle = [(each, slot) for each, slot in self._slots.items() if slot.is_idle and each[0]]
        if not idle:
            said = f"All {self._limits.max} instances of backend {self._backend} are in use."
            raise unavailable(self._backend, said, retryable=True)
        oldest, _ = min(idle, key=lambda each: _last_used(each[1]))
        self.close(oldest)

    def move(self, old: Key, new: Key) -> None:
        """Give the instance of one key to another."""
        if old != new:
            self._slots[new] = self._slots.pop(old)

    def close(self, key: Key) -> None:
        """Close the instance of a key."""
        slot = self._slots.pop(key, None)
        if slot is None:
            return
        self._spares.nudge()
        if slot.opening is not None:
            slot.opening.cancel()
        if slot.instance is not None:
            instance, slot.instance = slot.instance, None
            instance.close()

    def close_of(self, kind: str, name: str) -> None:
        """Close what belongs to somebody, in both eras."""
        for key in [key for key in self._slots if key[:2] == (kind, name)]:
            self.close(key)

    def close_idle(self) -> None:
        """Close what nobody used for long; the instance that is nobody's own stays."""
        oldest = asyncio.get_running_loop().time() - self._limits.idle_seconds
        for key, slot in list(self._slots.items()):
            if key[0] and slot.is_idle and _last_used(slot) < oldest:
                self.close(key)

    def close_all(self) -> None:
        """Close everything, and open nothing any more."""
        self._closed = True
        self._spares.close()
        for key in list(self._slots):
            self.close(key)
        for watch in self._watches:
            watch.cancel()

    def instances(self) -> Iterator[tuple[Key, Instance]]:
        """Yield what is open."""
        for key, slot in self._slots.items():
            if slot.instance is not None:
                yield key, slot.instance

    @property
    def has_room(self) -> bool:
        """Whether there may be one more without another going."""
        return len(self) < self._limits.max and not self._closed

    def __len__(self) -> int:
        return len(self._slots) + len(self._spares)


def _last_used(slot: Slot) -> float:
    return slot.instance.last_used if slot.instance is not None else slot.not_before


def _seen(task: asyncio.Task[Any]) -> None:
    """Look at what a task failed with, though nobody may wait for it any more."""
    if not task.cancelled():
        task.exception()
