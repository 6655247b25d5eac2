"""Waiting longer after each failure, and never all at the same moment."""

import random
from collections.abc import Callable


class Backoff:
    """The delays between attempts: doubled each time up to a limit, spread by chance."""

    def __init__(
        self,
        first_seconds: float,
        limit_seconds: float,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Begin with the first delay.

        Args:
            first_seconds: The first delay.
            limit_seconds: The longest one.
            chance: A number from 0 to 1, another one each time.
        """
        self._first = first_seconds
        self._limit = limit_seconds
        self._chance = chance
        self.count = 0
        """Failures since the last success."""

    def next_seconds(self) -> float:
        """Count one more failure and say how long to wait: the full delay or up to a half less."""
        full = min(self._limit, self._first * 2.0 ** min(self.count, 30))
        self.count += 1
        return full * (1 - self._chance() / 2)

    def reset(self) -> None:
        """Forget the failures: it worked."""
        self.count = 0
