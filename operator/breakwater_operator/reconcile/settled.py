"""Servers whose children are known to be as they should be: they need not be rendered again."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from breakwater_operator.reconcile.queue import Key

Object = dict[str, Any]

REMEMBERED_SECONDS = 300.0
"""How long the outcome of a full look stands at most.

A rollout wakes many passes in a row that need it; and what depends on the time, as the expiry of a
certificate does, is looked at again with the first pass after it.
"""

Outcome = TypeVar("Outcome")

State = tuple[int, int]
"""Names what is known to have changed of a server, when."""


@dataclass(frozen=True, slots=True)
class _Known(Generic[Outcome]):
    """What came of a full look, and what it stands for."""

    state: State
    owner: Object
    until: float
    outcome: Outcome


class Settled(Generic[Outcome]):
    """The outcome of the last full look at each server, for as long as it stands.

    It stands while nothing changed that children are rendered from or compared with: not the
    McpServer, no child, nothing that it refers to. What pods and controllers report is none of it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Remember nothing yet.

        Args:
            clock: Seconds that only go up.
        """
        self._clock = clock
        self._all = 0
        self._changes: dict[Key, int] = {}
        self._known: dict[Key, _Known[Outcome]] = {}

    def changed(self, key: Key) -> None:
        """Say that something of a server changed."""
        self._changes[key] = self._changes.get(key, 0) + 1
        self._known.pop(key, None)

    def all_changed(self) -> None:
        """Say that something changed that may concern every server."""
        self._all += 1
        self._changes.clear()
        self._known.clear()

    def state(self, key: Key) -> State:
        """Name what is known now, before it is looked at."""
        return self._all, self._changes.get(key, 0)

    def keep(self, key: Key, state: State, owner: Object, outcome: Outcome) -> None:
        """Remember the outcome of a full look.

        Args:
            key: The server.
            state: What `state` said before the look: what changed during it is not in the outcome.
            owner: The McpServer that was looked at.
            outcome: What came of it.
        """
        self._drop_old()
        until = self._clock() + REMEMBERED_SECONDS
        self._known.pop(key, None)
        self._known[key] = _Known(state, _looked_at(owner), until, outcome)

    def get(self, key: Key, owner: Object) -> Outcome | None:
        """Get the outcome of the last full look, if it still stands."""
        known = self._known.get(key)
        stands = (
            known is not None
            and known.state == self.state(key)
            and known.until > self._clock()
            and known.owner == _looked_at(owner)
        )
        return known.outcome if stands and known is not None else None

    def forget(self, key: Key) -> None:
        """Forget a server that is gone."""
        self._known.pop(key, None)
        self._changes.pop(key, None)

    def _drop_old(self) -> None:
        now = self._clock()
        # They are in the order of their ends.
        for key in list(self._known):
            if self._known[key].until > now:
                return
            del self._known[key]


def _looked_at(owner: Object) -> Object:
    """What of an McpServer is not merely our own report."""
    metadata = owner["metadata"]
    return {name: metadata.get(name) for name in ("uid", "generation", "annotations")}
