"""Whose turn it is when a newer operator renders other pods: a few servers at a time."""

import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from breakwater_contract.names import REVISION_LABEL
from breakwater_operator.kube.kinds import CONTROLLER_REVISION
from breakwater_operator.reconcile import deployments
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.world import World, controller, server_of
from breakwater_operator.render.revision import NUMBER, took_turn
from breakwater_operator.status import Rollout

Object = dict[str, Any]

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
    """Find the servers whose pods are being upgraded, by what is stored in the cluster.

    That is first what a turn leads to, and then the Deployment: there may be only the one of them.
    """
    for key, stored in _newest(world).items():
        deployment = deployments.find(world, *key) if took_turn(stored["data"]) else None
        if deployment is None:
            continue
        label = stored["metadata"]["labels"].get(REVISION_LABEL)
        is_begun = deployments.revision_of(deployment) == label
        if not is_begun or not deployments.is_rolled_out(deployment):
            yield key, is_begun and deployments.is_late(deployment)


def _newest(world: World) -> dict[Key, Object]:
    """The newest stored revision of each server; one that lost its owner may be nobody's."""
    cache = world.children[CONTROLLER_REVISION]
    found: dict[Key, Object] = {}
    for name, _, _ in cache.states():
        stored = cache.get(*name) or {"metadata": {}}
        key = server_of(stored) if controller(stored) is not None else None
        if key is not None and _number(stored) > _number(found.get(key)):
            found[key] = stored
    return found


def _number(stored: Object | None) -> int:
    number = ((stored or {}).get("data") or {}).get(NUMBER)
    return number if isinstance(number, int) else 0
