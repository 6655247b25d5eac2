"""Who used the processors while something was measured."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.processes import Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HARNESS = "what measures"


@dataclass(frozen=True)
class Used:
    """What was used in a stretch of time."""

    seconds: float
    """How long it was."""
    cpu_seconds: Mapping[str, float]
    """Processor time in it, by the name of the process."""


class Account:
    """Notes down who used the processors, stretch by stretch."""

    def __init__(self) -> None:
        """Begin without any."""
        self.stretches: dict[str, Used] = {}

    @contextmanager
    def counted(self, stretch: str, pids: Mapping[str, int]) -> Iterator[None]:
        """Note down what this process and others use meanwhile.

        Args:
            stretch: What goes on.
            pids: The other processes, by their names.
        """
        before, started = _clocks(pids), time.monotonic()
        yield
        seconds, after = time.monotonic() - started, _clocks(pids)
        used = {name: after[name] - before[name] for name in after}
        self.stretches[stretch] = Used(seconds, used)


def _clocks(pids: Mapping[str, int]) -> dict[str, float]:
    others = {name: Server(pid, 0).cpu_seconds() for name, pid in pids.items()}
    return {**others, HARNESS: time.process_time()}
