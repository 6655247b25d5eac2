"""What one pass does, as log lines tell it: each names its server, its generation and its pass."""

import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from breakwater_operator.reconcile.queue import Key

log = logging.getLogger(__name__)

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Pass:
    """One pass over one server."""

    key: Key
    generation: int
    number: int = field(default_factory=lambda: next(_numbers))
    """Counts the passes of this process."""
    writes: list[str] = field(default_factory=list)
    """What was done to which child, in order."""


_current: ContextVar[Pass | None] = ContextVar("pass", default=None)


@contextmanager
def passing(key: Key, generation: int) -> Iterator[Pass]:
    """Have every log line within say which pass it belongs to."""
    current = Pass(key, generation)
    token = _current.set(current)
    try:
        yield current
    finally:
        _current.reset(token)


def note(done: str, child: str) -> None:
    """Say what was done to a child; one line per pass tells all of it."""
    current = _current.get()
    if current is not None:
        current.writes.append(f"{done} {child}")


def tell(current: Pass, outcome: str, seconds: float) -> None:
    """Log a pass that changed something."""
    if current.writes:
        with_times = {"writes": current.writes, "outcome": outcome, "seconds": round(seconds, 3)}
        log.info("reconciled", extra=with_times)


def install() -> None:
    """Have log records carry the pass that they were made in."""
    make: Callable[..., logging.LogRecord] = logging.getLogRecordFactory()

    def made(*args: object, **kwargs: object) -> logging.LogRecord:
        record = make(*args, **kwargs)
        current = _current.get()
        if current is not None:
            # `name` is taken in a log record.
            record.namespace, record.server = current.key
            record.generation, record.reconcile = current.generation, current.number
        return record

    logging.setLogRecordFactory(made)
