"""How long to wait for a word of a peer: a second, and longer only while it is there and busy."""

import asyncio
from collections.abc import Callable

SILENCE_SECONDS = 1.0
"""How long a peer may take to accept a connection, or to say that it has a request."""

BUSY_SECONDS = 10.0
"""How long it may take where others hear from it meanwhile."""

OWN_LAG_SECONDS = 0.1
"""How late our own clock may be before what we have not seen says nothing about the peer."""


class Heard:
    """When a peer was last heard of, by any request."""

    __slots__ = ("at",)

    def __init__(self) -> None:
        self.at = 0.0


class Patience:
    """Gives up once a peer has been silent for too long.

    Its silence towards one request says nothing where it answers others, nor where it was us who
    had no time to look.
    """

    __slots__ = ("_due", "_give_up", "_heard", "_since", "_timer")

    def __init__(self, heard: Heard, give_up: Callable[[], None]) -> None:
        """Begin to wait; call `give_up` unless it is ended in time."""
        self._heard = heard
        self._give_up = give_up
        loop = asyncio.get_running_loop()
        self._since = loop.time()
        self._due = self._since + SILENCE_SECONDS
        self._timer = loop.call_at(self._due, self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        is_heard = now - self._heard.at < SILENCE_SECONDS and now - self._since < BUSY_SECONDS
        if is_heard or now - self._due > OWN_LAG_SECONDS:
            self._due = now + SILENCE_SECONDS
            self._timer = loop.call_at(self._due, self._look)
        else:
            self._give_up()

    def end(self) -> None:
        """Wait no more."""
        self._timer.cancel()
