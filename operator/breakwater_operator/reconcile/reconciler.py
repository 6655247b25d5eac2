"""One full pass over one McpServer: read, render, plan, apply, observe, conclude."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from breakwater_operator.api import allowed
from breakwater_operator.api.errors import SpecError
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.pause import paused_until
from breakwater_operator.api.platform import Platform
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import DEPLOYMENT, SECRET
from breakwater_operator.probe.rounds import Rounds
from breakwater_operator.reconcile import deployments, plan
from breakwater_operator.reconcile.conclusions import Conclusions, is_shown
from breakwater_operator.reconcile.followers import Followers
from breakwater_operator.reconcile.hosts import Hosts
from breakwater_operator.reconcile.intents import Intents
from breakwater_operator.reconcile.issuer import ClusterIssuer
from breakwater_operator.reconcile.owners import Owners, is_doubtful
from breakwater_operator.reconcile.plan import Child
from breakwater_operator.reconcile.prune import Pruner
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.rivals import Rivals
from breakwater_operator.reconcile.scalers import Scalers
from breakwater_operator.reconcile.seen import OwnerGoneError, Result, Seen, concluded
from breakwater_operator.reconcile.servers import Servers
from breakwater_operator.reconcile.settled import Settled
from breakwater_operator.reconcile.upgrades import Upgrades
from breakwater_operator.reconcile.withdrawals import Withdrawals
from breakwater_operator.reconcile.world import World
from breakwater_operator.reconcile.write import Writer, merged
from breakwater_operator.render import (
    Intent,
    children,
    live,
    live_objects,
    missing,
    ring,
)

Object = dict[str, Any]

LOOK_AGAIN_SECONDS = 3600.0
"""The longest wait for a date on which something ends."""


@dataclass(frozen=True)
class Reconciler:
    """Makes passes. Every one does the whole, whatever woke it."""

    platform: Platform
    servers: Servers
    owners: Owners
    world: World
    writer: Writer
    intents: Intents
    hosts: Hosts
    scalers: Scalers
    followers: Followers
    rounds: Rounds
    issuer: ClusterIssuer
    conclusions: Conclusions
    upgrades: Upgrades
    pruner: Pruner
    withdrawals: Withdrawals
    now: Callable[[], datetime]
    rivals: Rivals = field(default_factory=Rivals)
    settled: Settled[Seen] = field(default_factory=Settled)
    paused: set[Key] = field(default_factory=set)
    """The servers of which nothing is written for now."""
    ending: dict[Key, str] = field(default_factory=dict)
    """The uid of each server whose namespace is being deleted, and the server with it."""

    async def reconcile(self, key: Key, failures: int = 0) -> Result:
        """Bring one server and its status to what they should be.

        Args:
            key: The server.
            failures: How many passes over it have just failed in a row.

        Raises:
            ApiError: The cluster failed where nothing could be done about it.
        """
        owner = self.servers.get(key)
        if owner is None:
            self.ending.pop(key, None)
            return self._gone(key)
        if self._is_others(owner):
            return self._gone(key, is_standing=True)
        if self._is_ending(key, owner):
            again = await self.conclusions.tell_who_holds(owner)
            return replace(self._gone(key), again_seconds=again)
        if rest := self.rivals.wait_seconds(key):
            return Result("waiting", again_seconds=rest)
        try:
            seen = await self._known(key, owner, failures)
            (self.paused.add if seen.is_paused else self.paused.discard)(key)
            if seen.failure is not None and seen.failure.namespace_ending:
                self.ending[key] = owner["metadata"]["uid"]
                return self._gone(key)
            pods = await self.followers.observe(key, owner, seen)
            if wait := self.followers.takeover_seconds(key, owner, seen, pods):
                return Result("waiting", again_seconds=wait)
            again = await self.conclusions.write(key, owner, seen, pods, failures)
        except OwnerGoneError:
            return self._gone(key)
        return concluded(seen, self._again_seconds(seen, again))

    def _again_seconds(self, seen: Seen, again: float | None) -> float | None:
        """Say when to look again: at the latest when a date has come."""
        now = self.now()
        dates = [date for date in (seen.paused_until, seen.until) if date is not None]
        waits = [max(0.0, (date - now).total_seconds()) for date in dates]
        waits += [again] if again is not None else []
        # Each pass plans the next one: far ahead, those would pile up.
        return min([*waits, LOOK_AGAIN_SECONDS]) if waits else None

    def _is_ending(self, key: Key, owner: Object) -> bool:
        """Whether a server is on its way out; a namespace that ends never comes back."""
        is_deleted = bool(owner["metadata"].get("deletionTimestamp"))
        return is_deleted or self.ending.get(key) == owner["metadata"]["uid"]

    def _is_others(self, owner: Object) -> bool:
        """Whether another operator looks after a server."""
        chosen = (owner.get("spec") or {}).get("operatorClass")
        return bool(chosen != self.platform.operator_class)

    async def _known(self, key: Key, owner: Object, failures: int) -> Seen:
        """Make children what they should be; where that stays impossible, say why."""
        try:
            return await self._made(key, owner)
        except ApiError as error:
            if not is_shown(error, failures):
                raise
            stored = (owner.get("status") or {}).get("revision")
            return Seen(server=McpServer.parse(owner), revision=stored, failure=error)

    async def _made(self, key: Key, owner: Object) -> Seen:
        """Make children what they should be, or know that they are."""
        known = self._paused(key, owner) or self._settled(key, owner)
        if known is None:
            state = self.settled.state(key)
            known = await self._make_of_kinds(owner)
            if known.is_settled:
                self.settled.keep(key, state, owner, known)
        elif known.is_settled and known.server is not None and known.revision is not None:
            await self.pruner.prune_revisions(owner, known.server, known.revision)
        # What this pass finds out besides is its own.
        return replace(known, waits=[*known.waits], problems=[*known.problems])

    def _settled(self, key: Key, owner: Object) -> Seen | None:
        known = self.settled.get(key, owner)
        is_over = known is not None and known.until is not None and known.until <= self.now()
        return None if is_over else known

    def _paused(self, key: Key, owner: Object) -> Seen | None:
        """Say what stands of a server of which nothing is written for now; None of any other."""
        try:
            until = paused_until(owner, self.now())
            if until is None:
                return None
            server = McpServer.parse(owner)
            allowed.check(server, self.platform)
        except SpecError as error:
            self._stands(key)
            return Seen(faults=error.faults, is_paused=True)
        self._stands(key)
        stored = (owner.get("status") or {}).get("revision")
        return Seen(server=server, revision=stored, paused_until=until, is_paused=True)

    def _stands(self, key: Key) -> None:
        """Take note of a server whose children stay what they are."""
        self.upgrades.leave(key)
        self.hosts.keep(key)

    async def _make_of_kinds(self, owner: Object) -> Seen:
        """Make children of the kinds that the cluster knows: of fewer where one turns out gone."""
        while True:
            kinds = self.world.kinds
            known = await self._make(owner)
            is_gone = known.failure is not None and known.failure.kind_gone
            if not is_gone or not self.world.kinds < kinds:
                return known

    async def _make(self, owner: Object) -> Seen:
        """Read, render, plan, apply."""
        seen = Seen(was_verified=bool((owner.get("status") or {}).get("server")))
        try:
            server = McpServer.parse(owner)
            scaled = await self.scalers.look(
                server, owner, deployments.find(self.world, server.namespace, server.name)
            )
            seen.problems += scaled
            if scaled:
                server = server.model_copy(update={"is_scaled_by_others": True})
            seen.server = server
            allowed.check(server, self.platform)
            intent = await self.intents.of(server, seen)
            manifests = children(intent)
            desired = [self._child(manifest, intent) for manifest in manifests]
        except SpecError as error:
            # What runs keeps running: no child is touched while nobody can say what it should be,
            # but for keys that are to open nothing any more.
            seen.faults = error.faults
            self._stands((owner["metadata"]["namespace"], owner["metadata"]["name"]))
            await self.withdrawals.make(owner, seen)
            return seen
        # The intent itself is large, and what is found out is remembered for every server.
        seen.revision = seen.awaited or intent.revision.name
        seen.key_secret = intent.keys.secret_name
        seen.live = live.wanted(intent, live_objects.written(manifests))
        seen.waits += missing(intent)
        key = server.namespace, server.name
        seen.problems += self.rivals.look(key, desired)
        await self.pruner.free(owner, server, desired)
        written = await self.writer.write(
            server.uid, desired, lambda: self.owners.confirm(owner), is_doubtful=is_doubtful(owner)
        )
        seen.waits += written.waits
        seen.problems += written.problems
        seen.failure = written.failure
        seen.problems += self.hosts.claim(intent)
        seen.is_key_changed = intent.keys.changed and written.has_made(SECRET, seen.key_secret)
        if seen.is_key_changed:
            # At once: whatever else of this pass fails, the next one finds the key as it should be.
            self.conclusions.tell_key_changed(owner, seen.key_secret)
        if written.failure is None:
            self.rivals.answered(key)
            await self.pruner.prune(owner, intent, desired)
        is_quiet = not (seen.waits or seen.problems or seen.faults or seen.is_key_changed)
        # What is carried ends with the last old pod: that comes as a report.
        is_steady = not (ring.is_turning(intent.ring) or intent.carried or seen.awaited)
        seen.is_settled = written.is_clean and is_quiet and is_steady
        return seen

    def _child(self, manifest: Object, intent: Intent) -> Child:
        kind = plan.kind_of(manifest)
        metadata = manifest["metadata"]
        found = self.world.children[kind].get(metadata["namespace"], metadata["name"])
        if kind != DEPLOYMENT or "replicas" in manifest["spec"]:
            return Child(kind, manifest, found)
        count = deployments.replicas_at_birth(self.world, intent.server, metadata["name"])
        begin = {"spec": {"replicas": count}}
        # An autoscaler leaves a Deployment alone that has no pods at all.
        if found is not None and found["spec"].get("replicas") == 0:
            return Child(kind, merged(manifest, begin), found)
        return Child(kind, manifest, found, begin)

    def _gone(self, key: Key, *, is_standing: bool = False) -> Result:
        """Forget a server, but for the host that it still has where only we are done with it."""
        self.world.forget(key)
        self.rounds.drop(key)
        (self.hosts.keep if is_standing else self.hosts.drop)(key)
        self.scalers.drop(key)
        self.rivals.drop(key)
        self.issuer.drop(key)
        self.conclusions.forget(key)
        self.settled.forget(key)
        self.followers.forget(key)
        self.paused.discard(key)
        self.upgrades.forget(key)
        self.intents.carrying.forget(key)
        return Result("gone")
