"""A circuit breaker: a server that fails again and again is left alone for a while."""

from collections.abc import Callable


class Breaker:
    """Counts failures in a row; open, it lets one request through each time a while is over."""

    def __init__(self, failures: int, open_seconds: float, clock: Callable[[], float]) -> None:
        """Open after `failures`, for `open_seconds` by a clock that only goes forward."""
        self._limit = failures
        self._open_seconds = open_seconds
        self._clock = clock
        self._failures = 0
        self._try_at = 0.0
        self.last_heard = clock()
        """When it last became known how the server is."""

    @property
    def is_open(self) -> bool:
        """Whether the server is left alone."""
        return self._failures >= self._limit

    @property
    def wait_seconds(self) -> float:
        """How long it is left alone still; 0: one request may try it."""
        return max(0.0, self._try_at - self._clock()) if self.is_open else 0.0

    def admits(self) -> bool:
        """Say whether a request may go to the server; the one that tries it keeps others away."""
        if not self.is_open:
            return True
        if self.wait_seconds > 0:
            return False
        self._try_at = self._clock() + self._open_seconds
        return True

    def succeeded(self) -> None:
        """Know that it answered."""
        self._failures = 0
        self.last_heard = self._clock()

    def failed(self) -> None:
        """Know that it did not."""
        self._failures += 1
        self.last_heard = self._clock()
        if self.is_open:
            self._try_at = self.last_heard + self._open_seconds
