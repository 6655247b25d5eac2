"""What a pass found out, as a status and as events."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from breakwater_operator.api import names
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import AUTOSCALER, CERTIFICATE, HTTP_ROUTE
from breakwater_operator.reconcile import deployments
from breakwater_operator.reconcile.events import Events, News, transitions
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.refusals import Refusals
from breakwater_operator.reconcile.seen import OwnerGoneError, Seen
from breakwater_operator.reconcile.servers import Servers
from breakwater_operator.reconcile.statuses import Statuses
from breakwater_operator.reconcile.upgrades import Upgrades
from breakwater_operator.reconcile.world import World
from breakwater_operator.status import Facts, Pod, conclude, hints, others, rollout
from breakwater_operator.status.deleting import deleting, holders, is_waiting

Object = dict[str, Any]

SHOWN_AFTER_FAILURES = 2
"""How often in a row the cluster may fail before the status says so: most failures pass."""


@dataclass(frozen=True)
class Conclusions:
    """Concludes from what passes find out what is told."""

    servers: Servers
    world: World
    statuses: Statuses
    events: Events
    upgrades: Upgrades
    refusals: Refusals
    now: Callable[[], datetime]

    async def write(
        self, key: Key, made: Object, seen: Seen, pods: Sequence[Pod], failures: int
    ) -> float | None:
        """Write the status, and say what turned.

        Args:
            key: The server.
            made: The McpServer that the pass was over: a newer one may be known by now.
            seen: What the pass found out.
            pods: Its pods.
            failures: How many passes over it have just failed in a row.

        Returns:
            In how long to do it where it can wait.

        Raises:
            OwnerGoneError: The server is gone, or another one has its name.
            ApiError: The status could not be written.
        """
        owner = self.servers.get(key)
        if owner is None or owner["metadata"]["uid"] != made["metadata"]["uid"]:
            raise OwnerGoneError
        previous = owner.get("status") or {}
        # What was edited during the pass is for the next one, which comes at once.
        generation = made["metadata"].get("generation", 0)
        facts = self._facts(owner, generation, seen, pods, failures)
        self.upgrades.saw(key, rollout(facts))
        status = conclude(facts)
        try:
            written = await self.statuses.write(owner, status)
        except ApiError as error:
            if error.not_found:
                raise OwnerGoneError from error
            raise
        if written.is_new:
            before = previous.get("conditions") or ()
            self.events.post(owner, transitions(before, status["conditions"]))
        are_refused = not seen.is_paused and rollout(facts).refusal is not None
        asked = await self.refusals.ask(key, are_refused=are_refused)
        due = (others.due_seconds(facts), hints.due_seconds(facts))
        waits = (written.again_seconds, *due, asked)
        return min((wait for wait in waits if wait is not None), default=None)

    def tell_key_changed(self, owner: Object, secret: str) -> None:
        """Say that clients of a server need another key than they had."""
        self.events.post(owner, [_key_changed(secret)])

    async def tell_who_holds(self, owner: Object) -> float | None:
        """Say of a deleted server that it is, where that takes somebody's doing.

        Returns:
            In how long to look again.
        """
        now = self.now()
        children = self.world.waited_for(owner) if is_waiting(owner) else []
        found = holders(owner, children, now)
        if found.named and (owner.get("status") or {}).get("conditions"):
            await self._tell(owner, deleting(owner, found.named, now))
        return found.due_seconds

    async def _tell(self, owner: Object, status: Object) -> None:
        try:
            written = await self.statuses.write(owner, status)
        except ApiError as error:
            if not error.not_found:
                raise
            return
        if written.is_new:
            before = owner["status"]["conditions"]
            self.events.post(owner, transitions(before, status["conditions"]))

    def forget(self, key: Key) -> None:
        """Forget a server that is gone."""
        self.statuses.forget(key)
        self.refusals.forget(key)

    def _facts(
        self, owner: Object, generation: int, seen: Seen, pods: Sequence[Pod], failures: int
    ) -> Facts:
        namespace, name = owner["metadata"]["namespace"], owner["metadata"]["name"]
        failure = seen.failure
        previous = owner.get("status") or {}
        is_told = failure is None or is_shown(failure, failures)
        # What is not acted upon was not observed either: who waits for a change goes on waiting.
        is_acted = seen.paused_until is None and is_told
        acted = generation if is_acted else previous.get("observedGeneration", 0)
        is_held_back = seen.paused_until is not None and acted != generation
        return Facts(
            name=name,
            namespace=namespace,
            generation=acted,
            now=self.now(),
            server=seen.server if not seen.faults and not is_held_back else None,
            faults=seen.faults,
            waits=tuple(seen.waits),
            problems=tuple(seen.problems),
            failures=(failure,) if failure is not None and is_told else (),
            paused_until=seen.paused_until,
            is_paused=seen.is_paused,
            is_held_back=is_held_back,
            deployment=deployments.find(self.world, namespace, name),
            route=self.world.children[HTTP_ROUTE].get(namespace, name),
            certificate=self.world.children[CERTIFICATE].get(namespace, name),
            autoscaler=self.world.children[AUTOSCALER].get(
                namespace, names.deployment(name, names.FIRST_SLOT)
            ),
            pods=tuple(pods),
            endpoints=self.world.ready_endpoints((namespace, name)),
            # Nothing runs of a manifest that is refused, but what was rolled out last.
            revision=seen.revision or (previous.get("revision") if seen.faults else None),
            live=seen.live,
            is_outdated=seen.is_outdated,
            key_secret=seen.key_secret,
            previous=previous,
        )


def is_shown(failure: ApiError, failures: int) -> bool:
    """Whether a failure of the cluster is told, after so many failed passes in a row."""
    return failure.refused or failures >= SHOWN_AFTER_FAILURES


def _key_changed(secret: str) -> News:
    return News(
        is_good=False,
        reason="KeyChanged",
        note=f"The generated key in Secret {secret} was lost and a new one was made; "
        "clients have to read it again",
    )
