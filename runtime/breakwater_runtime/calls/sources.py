"""Where time and identity come from."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Sources:
    """Where time and identity come from; tests put their own in."""

    now: Callable[[], datetime]
    """The wall clock, in UTC."""
    elapsed: Callable[[], float]
    """A clock that only goes forward, in seconds."""
    new_id: Callable[[], str]
    """A fresh id for a request that brought none."""
