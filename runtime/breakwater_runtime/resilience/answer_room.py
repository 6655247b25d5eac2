"""Room for large answers: under one bound for all, until their clients have them.

Up to `LARGE_BYTES` an answer goes its way whenever it comes. Beyond that it needs room: many
callers would else fill the memory of the pod at once. What comes over HTTP is read on once it has
room; the answers of others are there as a whole before anybody knows how large they are.
"""

import asyncio
from collections import Counter, deque
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from breakwater_runtime.calls import Request

LARGE_BYTES = 256 * 1024
"""From here on an answer needs room: as much of it is taken from the network in any case."""

TOTAL_BYTES = 64 * 1024 * 1024
"""What all large answers may have together. Each exists twice for a while, and the one that is
looked at three times; a pod has 512 MiB by default."""

WAIT_SECONDS = 30.0
"""How long an answer waits for room; then its caller is told that there is none."""

HOLD_SECONDS = 20.0
"""How long one may take to be read and to reach its client while others wait for its room."""

LOOK_SECONDS = 1.0


class CrowdedError(Exception):
    """There was no room in time."""


def _nothing() -> None:
    """Have nothing to cut."""


class Held:
    """The room that one answer has."""

    def __init__(self, room: "AnswerRoom", backend: str, size: int, since: float) -> None:
        """Have `size` bytes; see `AnswerRoom.take`."""
        self._room = room
        self.backend = backend
        self.size = size
        self.since = since
        self.cut: Callable[[], None] = _nothing
        """Ends what makes it take so long, where somebody else waits."""
        self.late = False
        """Whether that was done."""

    def until_sent(self, request: "Request") -> None:
        """Have the room until a request is over, whose client is cut where it does not read."""
        self.cut = partial(self._abandon, request)
        request.ends.append(lambda _: self.leave())

    def _abandon(self, request: "Request") -> None:
        if request.abandon is not None:
            request.abandon()
        else:  # its client gets other answers first: that is no reason to cut it
            self.leave()

    def shrink(self, size: int) -> None:
        """Need no more than so much, as is known by now."""
        self._room.shrink(self, size)

    def leave(self) -> None:
        """Need none any more."""
        self._room.leave(self)


class AnswerRoom:
    """Gives room, in the order in which it was asked for."""

    def __init__(self, total_bytes: int = TOTAL_BYTES, *, are_several: bool = False) -> None:
        """Have `total_bytes`, of which each of several backends may have half: none has it all."""
        self._total = total_bytes
        self._share = total_bytes // 2 if are_several else total_bytes
        self._held: dict[Held, None] = {}
        self._of_backend: Counter[str] = Counter()
        self._waiting: deque[tuple[Held, asyncio.Future[None]]] = deque()
        self._look: asyncio.TimerHandle | None = None
        self._whole_bytes = 0
        self.used = 0
        """How many bytes are had."""

    @property
    def waiting(self) -> int:
        """How many answers wait."""
        return len(self._waiting)

    async def take_whole(self, backend: str, size: int) -> Held:
        """Get room for an answer that is there already: no more of them wait than have room.

        Raises:
            CrowdedError: There was none in time, or too many wait.
        """
        if self._whole_bytes + size > self._total:
            raise CrowdedError
        self._whole_bytes += size
        try:
            return await self.take(backend, size)
        finally:
            self._whole_bytes -= size

    async def take(self, backend: str, size: int) -> Held:
        """Get room for an answer of a backend, of at most `size` bytes.

        Raises:
            CrowdedError: There was none in time.
        """
        loop = asyncio.get_running_loop()
        held = Held(self, backend, min(size, self._share), loop.time())
        if not self._waiting and self._fits(held):
            self._give(held)
            return held
        turn: asyncio.Future[None] = loop.create_future()
        place = (held, turn)
        self._waiting.append(place)
        self._go_on()
        if self._look is None:
            self._look = loop.call_later(LOOK_SECONDS, self._look_around)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn
        except TimeoutError as error:
            if held not in self._held:
                raise CrowdedError from error
        except asyncio.CancelledError:
            self.leave(held)
            raise
        finally:
            if place in self._waiting:
                self._waiting.remove(place)
                self._go_on()
        held.since = loop.time()
        return held

    def shrink(self, held: Held, size: int) -> None:
        """Take back what an answer turned out not to need."""
        if held in self._held and size < held.size:
            self._count(held, size - held.size)
            held.size = size
            self._go_on()

    def leave(self, held: Held) -> None:
        """Take back what an answer has; it may have given it back already."""
        if held in self._held:
            del self._held[held]
            self._count(held, -held.size)
            self._go_on()

    def _fits(self, held: Held) -> bool:
        fits_share = self._of_backend[held.backend] + held.size <= self._share
        return fits_share and self.used + held.size <= self._total

    def _give(self, held: Held) -> None:
        self._held[held] = None
        self._count(held, held.size)

    def _count(self, held: Held, more: int) -> None:
        self.used += more
        self._of_backend[held.backend] += more

    def _go_on(self) -> None:
        """Give room in order; a backend that has its share already holds up no other."""
        full: set[str] = set()
        for place in tuple(self._waiting):
            held, turn = place
            if held.backend in full or turn.done():
                continue
            if self._of_backend[held.backend] + held.size > self._share:
                full.add(held.backend)
            elif self._fits(held):
                self._waiting.remove(place)
                self._give(held)
                turn.set_result(None)
            else:
                return  # or what is smaller would go first for ever

    def _look_around(self) -> None:
        """Cut what has had its room for long enough, as long as somebody waits."""
        self._look = None
        if not self._waiting:
            return
        loop = asyncio.get_running_loop()
        oldest = loop.time() - HOLD_SECONDS
        for held in [each for each in self._held if each.since < oldest and not each.late]:
            held.late = True
            held.cut()
        self._look = loop.call_later(LOOK_SECONDS, self._look_around)
