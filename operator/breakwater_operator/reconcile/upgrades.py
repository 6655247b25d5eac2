"""Whose turn it is when a newer operator renders other pods: a few servers at a time."""

import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from breakwater_contract.names import REVISION_LABEL
from breakwater_operator.kube.kinds import CONTROLLER_REVISION
from breakwater_operator.reconcile import deployments
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.world import World, server_of
from breakwater_operator.render.revision import took_turn
from breakwater_operator.status import Rollout

log = logging.getLogger(__name__)

Begun = tuple[Key, bool]
"""A server that was given a turn, and whether its upgrade failed."""

AT_ONCE = 3
"""How many servers of the cluster are upgraded at the same time."""


class Upgrades:
    """Gives turns. A server keeps its turn until its pods are ready; one that fails stops all.

    What users change is never asked for here: it comes at once, with today's rendering in it.
    """

    def __init__(self, wake: Callable[[Key], None], begun: Callable[[], Iterable[Begun]]) -> None:
        """Give no turn yet.

        Args:
            wake: Told of each server whose turn may have come.
            begun: Finds the servers that an earlier leader gave a turn; asked once, when the first
                server wants one.
        """
        self._wake = wake
        self._begun: Callable[[], Iterable[Begun]] | None = begun
        self._under_way: set[Key] = set()
        self._failed: set[Key] = set()
        self._waiting: dict[Key, None] = {}

    def may(self, key: Key) -> bool:
        """Take a turn; where that cannot be now, it is woken when it can."""
        self._recall()
        has_turn = key in self._under_way
        if not has_turn and (self._failed or len(self._under_way) >= AT_ONCE):
            self._waiting[key] = None
            return False
        self._waiting.pop(key, None)
        self._under_way.add(key)
        return True

    def _recall(self) -> None:
        """Find out once what an earlier leader knew."""
        begun = self._begun() if self._begun is not None else ()
        self._begun = None
        for key, has_failed in begun:
            self._under_way.add(key)
            if has_failed:
                self._fail(key)

    def saw(self, key: Key, rollout: Rollout) -> None:
        """Take note of how far the pods of a server are."""
        if key not in self._under_way:
            return
        if rollout.is_complete:
            self.forget(key)
        elif rollout.is_late and key not in self._failed:
            self._fail(key)

    def _fail(self, key: Key) -> None:
        self._failed.add(key)
        log.warning("an upgrade failed, no other is begun", extra={"upgraded": "/".join(key)})

    def leave(self, key: Key) -> None:
        """Take note that a server wants no turn any more."""
        if key in self._waiting:
            del self._waiting[key]
            self._wake_next()

    def forget(self, key: Key) -> None:
        """End the turn of a server that is upgraded, or gone."""
        self.leave(key)
        if key in self._under_way:
            self._under_way.discard(key)
            self._failed.discard(key)
            self._wake_next()

    def _wake_next(self) -> None:
        free = 0 if self._failed else max(0, AT_ONCE - len(self._under_way))
        for key in list(islice(self._waiting, free)):
            self._wake(key)


def under_way(world: World) -> Iterator[Begun]:
    """Find the servers whose pods are being upgraded, by what is stored in the cluster."""
    cache = world.children[CONTROLLER_REVISION]
    for (namespace, name), _, _ in cache.states():
        stored = cache.get(namespace, name) or {}
        key = server_of(stored) if took_turn(stored.get("data") or {}) else None
        deployment = deployments.find(world, *key) if key is not None else None
        if key is None or deployment is None or deployments.is_rolled_out(deployment):
            continue
        if deployments.revision_of(deployment) == stored["metadata"]["labels"].get(REVISION_LABEL):
            yield key, deployments.is_late(deployment)
