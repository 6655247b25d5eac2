"""The event loop: how late it is, and what holds it up."""

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from prometheus_client import Counter

from breakwater_runtime.observability.series import Series

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.25
BLOCKED_SECONDS = 0.5
"""How long code may hold the loop before it is named: every other request waits that long."""

FRAMES_MAX = 8


class LoopWatch:
    """Measures how late timers are, and names the code that makes the loop wait for it.

    The loop cannot say who holds it while it is held: a thread looks at its stack.
    """

    def __init__(
        self, lag: Series, blocked: Counter, elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        """Observe in `lag`, count in `blocked`."""
        self._lag = lag
        self._blocked = blocked
        self._elapsed = elapsed
        self._ticked = 0.0
        self._told = 0.0
        self._ended = threading.Event()

    async def run(self) -> None:
        """Watch the loop that runs this, for ever."""
        self._ticked = self._elapsed()
        thread = threading.get_ident()
        # A daemon: it must never hold the process back.
        watcher = threading.Thread(
            target=self._look, args=(thread,), name="event loop watch", daemon=True
        )
        watcher.start()
        try:
            while True:
                due = self._elapsed() + TICK_SECONDS
                await asyncio.sleep(TICK_SECONDS)
                self._ticked = self._elapsed()
                self._lag.observe(max(0.0, self._ticked - due))
        finally:
            self._ended.set()

    def _look(self, thread: int) -> None:
        while not self._ended.wait(TICK_SECONDS):
            ticked = self._ticked
            held = self._elapsed() - ticked - TICK_SECONDS
            if held >= BLOCKED_SECONDS and ticked != self._told:
                self._told = ticked
                self._tell(thread, held)

    def _tell(self, thread: int, held: float) -> None:
        self._blocked.inc()
        logger.warning(
            "the event loop is held up",
            extra={"seconds": round(held, 3), "by": _stack(thread)},
        )


def _stack(thread: int) -> list[str]:
    """Name what a thread does at this moment, the innermost first."""
    frame = sys._current_frames().get(thread)
    frames = traceback.extract_stack(frame)[-FRAMES_MAX:] if frame is not None else []
    return [f"{Path(each.filename).name}:{each.lineno} {each.name}" for each in reversed(frames)]
