"""Pods that the cluster refused to make: its controllers try that again ever more seldom."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from breakwater_contract.names import API_GROUP
from breakwater_operator.api import names
from breakwater_operator.api.conditions import timestamp
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import DEPLOYMENT
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.world import World

ASKED_ANNOTATION = f"{API_GROUP}/pods-asked-for"
"""On a Deployment: when its pods were last asked for again. Writing it has the Deployment's
controller look at once, and it hands it down to the ReplicaSet, whose controller then does."""

SOON_SECONDS = 30.0
LATE_SECONDS = 120.0
"""How long to wait at least and at most; in between it is as long as they have been refused.

A ReplicaSet's controller itself waits up to 1,000 seconds, and a Deployment's gives up after it was
refused a ReplicaSet 15 times (kubernetes/kubernetes, `maxRetries` of the Deployment controller, and
`DefaultTypedControllerRateLimiter`): who raises a quota after a night would wait as long.
"""


@dataclass
class _Refusal:
    since: float
    asked_at: float

    def due_at(self) -> float:
        """When to ask the next time."""
        lasted = self.asked_at - self.since
        return self.asked_at + min(max(lasted, SOON_SECONDS), LATE_SECONDS)


@dataclass(frozen=True)
class Refusals:
    """Asks again for pods that the cluster refused, so that they come once it no longer does."""

    api: KubeApi
    world: World
    now: Callable[[], datetime]
    clock: Callable[[], float] = time.monotonic
    known: dict[Key, _Refusal] = field(default_factory=dict)
    """The servers whose pods are refused."""

    async def ask(self, key: Key, *, are_refused: bool) -> float | None:
        """Ask again for the pods of a server, where that is due.

        Args:
            key: The server.
            are_refused: Whether its pods are refused at the moment.

        Returns:
            In how many seconds to ask the next time; None where nothing is refused.

        Raises:
            ApiError: The API server failed.
        """
        if not are_refused:
            self.forget(key)
            return None
        now = self.clock()
        refusal = self.known.setdefault(key, _Refusal(now, now))
        if refusal.due_at() <= now:
            await self._ask(key)
            refusal.asked_at = now
        return refusal.due_at() - now

    async def _ask(self, key: Key) -> None:
        namespace, server = key
        name = names.deployment(server, names.FIRST_SLOT)
        change = {"metadata": {"annotations": {ASKED_ANNOTATION: timestamp(self.now())}}}
        cache = self.world.children[DEPLOYMENT]
        try:
            with cache.writing(namespace, name):
                cache.wrote(
                    await self.api.merge_patch(
                        DEPLOYMENT, namespace, name, change, manager=names.MANAGER
                    )
                )
        except ApiError as error:
            if not error.not_found:
                raise

    def forget(self, key: Key) -> None:
        """Know nothing of a server any more."""
        self.known.pop(key, None)
