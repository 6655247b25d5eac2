"""Beginning together what each would begin alone."""

import asyncio

SIZE = 8
"""How many begin together. The first one has to fetch everything that a pass needs into the
processor's caches, and the others find it there."""

LONGEST_SECONDS = 1.0
"""How long one waits for others at most: they are held up by the API server, or fewer than it
takes."""


class Groups:
    """Holds those that come until there are enough of them."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._waiters: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None

    async def join(self) -> None:
        """Wait until a group is complete, or its time is up."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters = [one for one in self._waiters if not one.done()] + [waiter]
        if len(self._waiters) >= SIZE:
            self._begin()
        elif self._timer is None:
            self._timer = loop.call_later(LONGEST_SECONDS, self._begin)
        await waiter

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters = []
