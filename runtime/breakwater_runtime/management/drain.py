"""Drain: how the process goes away without a caller noticing."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from breakwater_contract.names import DRAIN_CALLS_SECONDS, DRAIN_OPEN_SECONDS


@dataclass(frozen=True, slots=True)
class DrainTimes:
    """How long each part may take."""

    open_seconds: float = DRAIN_OPEN_SECONDS
    """How long connections are still taken."""
    calls_seconds: int = DRAIN_CALLS_SECONDS
    """How long running calls may finish after that."""


class Drain:
    """Whether the process has been told to stop."""

    def __init__(self) -> None:
        self._stopped = asyncio.Event()
        self._hurry = asyncio.Event()
        self._stream_ends: list[Callable[[], None]] = []

    def at_end_of_streams(self, end: Callable[[], None]) -> None:
        """Have `end` called when streams without an end of their own must come to one."""
        self._stream_ends.append(end)

    def end_streams(self) -> None:
        """End them; what they carry of calls goes on."""
        for end in self._stream_ends:
            end()

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
