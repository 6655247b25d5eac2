"""Token buckets: how often somebody may do something, in memory that cannot grow."""

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

MINUTE_SECONDS: Final = 60.0
ENTRIES_MAX = 10_000

OTHERS = object()
"""The bucket that all new ones share while no more can be remembered."""


class Verdict:
    """What a bucket says to one more."""

    __slots__ = ("level", "limit", "over")

    def __init__(self, limit: int, level: float, over: float) -> None:
        self.limit = limit
        """How many a minute may have."""
        self.level = level
        """After how many seconds the bucket is full again."""
        self.over = over
        """After how many seconds one more is allowed; 0 where it was."""

    @property
    def allowed(self) -> bool:
        """Whether there was one left."""
        return not self.over

    @property
    def remaining(self) -> int:
        """How many more are allowed at once now."""
        return 0 if self.over else int((MINUTE_SECONDS - self.level) * self.limit / 60 + 1e-6)

    @property
    def reset_seconds(self) -> int:
        """After how long the bucket is full again."""
        return math.ceil(self.level)

    @property
    def retry_seconds(self) -> int:
        """After how long one more is allowed; 0 where it was."""
        return math.ceil(self.over)

    def headers(self, name: str) -> dict[str, str]:
        """Say it to the client (draft-ietf-httpapi-ratelimit-headers)."""
        return {
            "ratelimit-policy": f'"{name}";q={self.limit};w={MINUTE_SECONDS:.0f}',
            "ratelimit": f'"{name}";r={self.remaining};t={self.reset_seconds}',
        }


class Buckets:
    """One bucket per key; each holds a minute's worth and refills steadily.

    A bucket is one number, the time at which it will be full again (the generic cell rate
    algorithm). A full one is as good as none and is forgotten first; while more are in use than can
    be remembered, new ones share one, so that nobody gets rid of theirs by making up others.
    """

    def __init__(self, elapsed: Callable[[], float], entries_max: int = ENTRIES_MAX) -> None:
        """Go by the clock `elapsed`, which only goes forward; remember `entries_max` buckets."""
        self._elapsed = elapsed
        self._entries_max = entries_max
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def __len__(self) -> int:
        """Count the buckets that are remembered."""
        return len(self._full_at)

    def take(self, key: Hashable, per_minute: int) -> Verdict:
        """Take one from the bucket of `key`, if there is one left."""
        now, each = self._elapsed(), MINUTE_SECONDS / per_minute
        full_at = self._full_at.get(key)
        if full_at is None:
            if len(self._full_at) >= self._entries_max:
                key = self._make_room(key, now)
            full_at = self._full_at.get(key, now)
        level = full_at - now if full_at > now else 0.0
        over = level + each - MINUTE_SECONDS
        if over > each * 1e-6:  # what adding up fractions leaves over is not one more
            return Verdict(per_minute, level, over)
        level += each
        self._full_at[key] = now + level
        self._full_at.move_to_end(key)
        return Verdict(per_minute, level, 0.0)

    def _make_room(self, key: Hashable, now: float) -> Hashable:
        """Forget what need not be known; return the key to use for a new one."""
        while self._full_at:
            oldest = next(iter(self._full_at))
            if self._full_at[oldest] > now:
                break
            del self._full_at[oldest]
        return key if len(self._full_at) < self._entries_max else OTHERS
