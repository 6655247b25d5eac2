"""Whose large messages are read at the moment, of all children of a backend."""

from collections import deque
from typing import Protocol

AT_ONCE = 4
"""How many children may be in the middle of a large message at once; the others wait, with what is
in their pipes."""


class Reader(Protocol):
    """Reads what one child writes."""

    def go_on(self) -> None:
        """Read on: it is this one's turn."""


class Turns:
    """Gives the turns, in the order in which they were asked for."""

    def __init__(self) -> None:
        """Let nobody have one yet."""
        self._reading: set[Reader] = set()
        self._waiting: deque[Reader] = deque()

    def take(self, reader: Reader) -> bool:
        """Take a turn; False: there is none now, and `go_on` is called once there is."""
        if reader in self._reading:
            return True
        if len(self._reading) < AT_ONCE:
            self._reading.add(reader)
            return True
        if reader not in self._waiting:
            self._waiting.append(reader)
        return False

    def leave(self, reader: Reader) -> None:
        """Give a turn back, or wait for none any more."""
        if reader in self._waiting:
            self._waiting.remove(reader)
        if reader not in self._reading:
            return
        self._reading.remove(reader)
        if self._waiting:
            following = self._waiting.popleft()
            self._reading.add(following)
            following.go_on()
