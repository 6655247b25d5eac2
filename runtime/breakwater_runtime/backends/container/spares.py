"""Children that are started before anybody wants them."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from breakwater_runtime.backends.codec.greeting import GreetingError
from breakwater_runtime.backends.codec.instance import Instance
from breakwater_runtime.backends.container.transport import OpeningError, Prepared
from breakwater_runtime.calls import RpcError

logger = logging.getLogger(__name__)

RETRY_SECONDS = 0.1
RETRY_SECONDS_MAX = 30.0
"""How long nothing is tried after one could not be started, or ended while it waited."""


class Spare:
    """One child that waits for somebody."""

    def __init__(self, prepared: Prepared, instance: Instance | None) -> None:
        """Have it wait, greeted as `instance`, or not greeted yet."""
        self.prepared = prepared
        self.instance = instance
        self.left: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def leave(self) -> None:
        """Wait no longer."""
        if not self.left.done():
            self.left.set_result(None)

    def close(self) -> None:
        """Stop it."""
        self.leave()
        self.prepared.close()

    def suits(self, *, modern: bool | None, greeted: bool) -> bool:
        """Say whether somebody can take it who speaks this era, and wants it greeted or not."""
        if self.prepared.lost is not None:
            return False
        if self.instance is None:
            return not greeted
        return greeted and self.instance.about.modern == modern


class Spares:
    """Keeps so many of them, while there is room."""

    def __init__(
        self, count: int, make: Callable[[], Awaitable[Spare]], may_make: Callable[[], bool]
    ) -> None:
        """Keep `count`, each made by `make` when `may_make` agrees."""
        self._count = count
        self._make = make
        self._may_make = may_make
        self._waiting: list[Spare] = []
        self._making: list[asyncio.Task[Spare]] = []
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._making)

    @property
    def waiting(self) -> int:
        """How many can be taken."""
        return len(self._waiting)

    @property
    def limit(self) -> int:
        """How many there may be."""
        return self._count

    def nudge(self) -> None:
        """Look again whether there is room."""
        self._changed.set()

    def take(self, *, modern: bool | None, greeted: bool) -> Spare | None:
        """Take one that suits; where none does, one makes room for another that will."""
        for spare in self._waiting:
            if spare.suits(modern=modern, greeted=greeted):
                self._waiting.remove(spare)
                spare.leave()
                return spare
        if self._waiting:
            self._waiting.pop(0).close()
        return None

    def give_way(self) -> bool:
        """Let go of one, so that there is room; False: there is none."""
        if self._making:
            self._making.pop(0).cancel()
            return True
        if self._waiting:
            self._waiting.pop(0).close()
            return True
        return False

    def close(self) -> None:
        """Let go of all of them."""
        while self.give_way():
            pass

    async def run(self) -> None:
        """Replace what was taken or ended, for ever."""
        await asyncio.gather(*(self._keep_one() for _ in range(self._count)))

    async def _keep_one(self) -> None:
        wait = RETRY_SECONDS
        while True:
            await self._room()
            spare = await self._made()
            if spare is not None and await self._was_wanted(spare):
                wait = RETRY_SECONDS
                continue
            await asyncio.sleep(wait)
            wait = min(wait * 2, RETRY_SECONDS_MAX)

    async def _room(self) -> None:
        while not self._may_make():
            self._changed.clear()
            await self._changed.wait()

    async def _made(self) -> Spare | None:
        making = asyncio.ensure_future(self._make())
        self._making.append(making)
        try:
            await asyncio.wait({making})
        except asyncio.CancelledError:
            making.cancel()
            raise
        finally:
            with contextlib.suppress(ValueError):  # it gave way
                self._making.remove(making)
        if making.cancelled():
            return None
        try:
            return making.result()
        except (OpeningError, GreetingError, RpcError) as error:
            logger.info("a spare child could not be started", extra={"reason": str(error)})
            return None

    async def _was_wanted(self, spare: Spare) -> bool:
        """Have it wait until it leaves; False: it ended by itself."""
        self._waiting.append(spare)
        lost = asyncio.ensure_future(spare.prepared.wait_lost())
        ends: set[asyncio.Future[Any]] = {lost, spare.left}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost.cancel()
        if spare in self._waiting:
            self._waiting.remove(spare)
        return spare.left.done()
