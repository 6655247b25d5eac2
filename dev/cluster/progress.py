"""Telling a waiting person what goes on, how far it is and how long it has taken."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEARTBEAT_SECONDS = 15.0
"""How often a step that still runs says so where lines cannot be rewritten.

Long enough to keep a log readable, short enough that nobody takes a build for hung.
"""


def elapsed(seconds: float) -> str:
    """Write a duration the way people say it: 3.2s, 1m03s."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02d}s"


class Progress:
    """Numbered steps, written to a stream.

    Args:
        total: how many steps there will be; 0 leaves the numbers out.
        stream: where to write; standard error unless told otherwise.
        clock: seconds since any moment.
        heartbeat: seconds between two signs of life of one step.
    """

    def __init__(
        self,
        total: int = 0,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._total = total
        self._stream = stream or sys.stderr
        self._clock = clock
        self._started = clock()
        self._done = 0
        self._live = self._stream.isatty()
        self._heartbeat = 1.0 if self._live else heartbeat

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Announce a step, show that it lives while it runs, and say how long it took."""
        self._done += 1
        label = f"[{self._done}/{self._total}] {what}" if self._total else what
        began = self._clock()
        self._write(f"{label} ...", last=False)
        over = threading.Event()
        pulse = threading.Thread(target=self._beat, args=(label, began, over), daemon=True)
        pulse.start()
        try:
            yield
        except BaseException:
            self._finish(pulse, over, f"{label}: not finished after {self._since(began)}")
            raise
        self._finish(pulse, over, f"{label}: done in {self._since(began)}")

    def say(self, message: str) -> None:
        """Write one line, with the time since the beginning."""
        self._write(f"{message} ({self._since(self._started)})", last=True)

    def _beat(self, label: str, began: float, over: threading.Event) -> None:
        while not over.wait(self._heartbeat):
            self._write(f"{label} ... {self._since(began)} elapsed", last=False)

    def _finish(self, pulse: threading.Thread, over: threading.Event, message: str) -> None:
        over.set()
        pulse.join()
        self._write(message, last=True)

    def _since(self, began: float) -> str:
        return elapsed(self._clock() - began)

    def _write(self, message: str, *, last: bool) -> None:
        if self._live:
            # Return to the line's beginning and clear it: one line per step.
            self._stream.write(f"\r\x1b[K{message}{chr(10) if last else ''}")
        else:
            self._stream.write(f"{message}\n")
        self._stream.flush()
