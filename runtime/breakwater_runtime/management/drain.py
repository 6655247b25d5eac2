"""Drain: how the process goes away without a caller noticing."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DrainTimes:
    """How long each part may take."""

    open_seconds: float
    """How long connections are still taken."""
    seconds: float
    """How long calls may go on, and sessions be reached through peers, after that."""


class Drain:
    """Whether the process has been told to stop."""

    def __init__(self) -> None:
        self._stopped = asyncio.Event()
        self._hurry = asyncio.Event()
        self._stream_ends: list[Callable[[], None]] = []
        self._sessions_over: Callable[[], Awaitable[None]] | None = None
        self._end_sessions: list[Callable[[], None]] = []

    def at_end_of_streams(self, end: Callable[[], None]) -> None:
        """Have `end` called when streams without an end of their own must come to one."""
        self._stream_ends.append(end)

    def end_streams(self) -> None:
        """End them; what they carry of calls goes on."""
        for end in self._stream_ends:
            end()

    def keep_sessions(self, over: Callable[[], Awaitable[None]], end: Callable[[], None]) -> None:
        """Have `over` awaited, which returns once no session is left, and then `end` called."""
        self._sessions_over = over
        self._end_sessions = [end]

    def end_sessions(self) -> None:
        """End those that are left."""
        for end in self._end_sessions:
            end()

    async def sessions_over(self, seconds: float) -> None:
        """Wait until no session is left, so long at most, and not at all in a hurry."""
        if self._sessions_over is None or self._hurry.is_set():
            return
        waits = [asyncio.ensure_future(self._sessions_over())]
        waits.append(asyncio.create_task(self._until_hurry()))
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await each

    async def _until_hurry(self) -> None:
        await self._hurry.wait()

    @property
    def begun(self) -> bool:
        """Whether it has."""
        return self._stopped.is_set()

    def begin(self, *, hurry: bool = False) -> None:
        """Begin; in a hurry, nobody in front has to notice first.

        A second signal is always in a hurry.
        """
        if hurry or self.begun:
            self._hurry.set()
        self._stopped.set()

    async def wait(self) -> None:
        """Wait until it begins."""
        await self._stopped.wait()

    async def stay_open(self, seconds: float) -> None:
        """Wait while those in front notice, unless there is a hurry."""
        try:
            await asyncio.wait_for(self._hurry.wait(), timeout=seconds)
        except TimeoutError:
            return
