"""The pods of a server: what they run on, and how those learn that run on something old."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from breakwater_contract.names import LIVE_ANNOTATION, SLOT_LABEL
from breakwater_operator.api import names
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import POD
from breakwater_operator.probe.health import KEY_UNKNOWN
from breakwater_operator.probe.pods import followed
from breakwater_operator.probe.rounds import Rounds
from breakwater_operator.reconcile import deployments
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.seen import Seen
from breakwater_operator.reconcile.world import World
from breakwater_operator.status import Pod

Object = dict[str, Any]

TAKEOVER_SECONDS = 3.0
"""How long pods may take to load new settings before the status says that it waits for them."""


@dataclass(frozen=True)
class Followers:
    """Asks pods, and tells them."""

    api: KubeApi
    world: World
    rounds: Rounds
    clock: Callable[[], float] = time.monotonic
    told: dict[Key, tuple[str, float]] = field(default_factory=dict)
    """Since when the pods of a server are to take over which live settings."""

    async def observe(self, key: Key, owner: Object, seen: Seen) -> list[Pod]:
        """Ask the pods, and tell those that run on old settings."""
        audience = owner["metadata"]["uid"]
        pods = [pod for pod in self.world.pods.together(key) if _slot(pod) == names.FIRST_SLOT]
        asked = [target for pod in pods if (target := followed(pod, key, audience)) is not None]
        probes = await self.rounds.follow(key, asked, seen.live)
        found = [Pod(pod, probes.get(pod["metadata"]["uid"])) for pod in pods]
        for pod in found:
            if seen.live is not None and _is_behind(pod, seen.live):
                await self._tell(pod.object, seen.live)
        return found

    def takeover_seconds(
        self, key: Key, owner: Object, seen: Seen, pods: Sequence[Pod]
    ) -> float | None:
        """Say how long to wait for pods that were just told of new settings, if for nothing else.

        They take a second or two, and then one status says everything.
        """
        is_behind = any(pod.probe is not None and pod.probe.live != seen.live for pod in pods)
        deployment = deployments.find(self.world, *key)
        is_rolled_out = deployment is not None and deployments.is_complete(deployment)
        has_trouble = seen.faults or seen.waits or seen.problems or seen.failure is not None
        has_news = bool(has_trouble or seen.is_key_changed)
        if not is_behind or not is_rolled_out or has_news or seen.live is None:
            self.told.pop(key, None)
            return None
        before = self.told.get(key)
        if before is None or before[0] != seen.live:
            self.told[key] = before = (seen.live, self.clock())
        wait = before[1] + TAKEOVER_SECONDS - self.clock()
        return wait if wait > 0 and owner.get("status") else None

    async def _tell(self, pod: Any, wanted: str) -> None:
        """Make kubelet refresh a pod's volumes at once, by writing an annotation."""
        metadata = pod["metadata"]
        change = {"metadata": {"uid": metadata["uid"], "annotations": {LIVE_ANNOTATION: wanted}}}
        try:
            with self.world.pods.writing(metadata["namespace"], metadata["name"]):
                answer = await self.api.merge_patch(
                    POD, metadata["namespace"], metadata["name"], change, manager=names.MANAGER
                )
                self.world.pods.wrote(answer)
        except ApiError as error:
            if error.not_found or error.conflict:
                return
            raise

    def forget(self, key: Key) -> None:
        """Know nothing of a server any more."""
        self.told.pop(key, None)


def _slot(pod: Object) -> str | None:
    slot: str | None = (pod["metadata"].get("labels") or {}).get(SLOT_LABEL)
    return slot


def _is_behind(pod: Pod, wanted: str) -> bool:
    """Whether a pod shows that it runs on other settings and was not yet told of these."""
    metadata, probe = pod.object["metadata"], pod.probe
    has_answered = probe is not None and (probe.reached or probe.fault == KEY_UNKNOWN)
    is_old = probe is not None and has_answered and probe.live != wanted
    return is_old and metadata["annotations"].get(LIVE_ANNOTATION) != wanted
