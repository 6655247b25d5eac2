"""One full pass over one McpServer: read, render, plan, apply, observe, conclude."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from breakwater_contract.names import LIVE_ANNOTATION, REVISION_LABEL, SLOT_LABEL
from breakwater_operator.api import allowed, names
from breakwater_operator.api.errors import Fault, NotReadyError, SpecError
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.pause import paused_until
from breakwater_operator.api.platform import Platform
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import (
    AUTOSCALER,
    CONFIG_MAP,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    MCP_SERVER,
    POD,
)
from breakwater_operator.probe.pods import followed
from breakwater_operator.probe.prober import KEY_UNKNOWN
from breakwater_operator.probe.rounds import Rounds
from breakwater_operator.reconcile import deployments, plan, rotation
from breakwater_operator.reconcile.events import Events, News, transitions
from breakwater_operator.reconcile.issuer import ClusterIssuer, unknown_issuer
from breakwater_operator.reconcile.plan import Child
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.reading import read, revisions
from breakwater_operator.reconcile.servers import Servers
from breakwater_operator.reconcile.settled import Settled
from breakwater_operator.reconcile.signing import Signing
from breakwater_operator.reconcile.statuses import Statuses
from breakwater_operator.reconcile.upgrades import Upgrades
from breakwater_operator.reconcile.world import World
from breakwater_operator.reconcile.write import Writer, merged
from breakwater_operator.render import (
    Intent,
    Issuer,
    children,
    claims,
    live,
    live_objects,
    missing,
    rate_store,
    revision,
    ring,
    secrets,
    serving_certificate,
    sources,
)
from breakwater_operator.render.deployment import at_birth
from breakwater_operator.status import Facts, Pod, conclude, rollout
from breakwater_operator.status.facts import Problem

Object = dict[str, Any]

SHOWN_AFTER_FAILURES = 2
"""How often in a row the cluster may fail before the status says so: most failures pass."""

KEY_BYTES = 32
"""Random bytes of a generated key."""

TAKEOVER_SECONDS = 3.0
"""How long pods may take to load new settings before the status says that it waits for them."""

TAKEN_AGAIN_SECONDS = 30.0
"""When to look again at an object of others that has the name of a child; nobody tells us of it."""


class OwnerGoneError(Exception):
    """The McpServer is no longer there, or is being deleted: nothing of it may be made again."""


@dataclass
class Result:
    """What came of a pass."""

    outcome: str
    """`done`, `invalid`, `waiting`, `failed` or `gone`."""
    failure: ApiError | None = None
    """Why it has to be tried again."""
    again_seconds: float | None = None
    """When to look again although nothing changes."""


@dataclass
class Seen:
    """What a pass has found out so far, in the words of `Facts`."""

    server: McpServer | None = None
    faults: tuple[Fault, ...] = ()
    waits: list[NotReadyError] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    failure: ApiError | None = None
    revision: str | None = None
    """The revision that the pods should run, once that is known."""
    key_secret: str | None = None
    """The Secret that the keys come from, once that is known."""
    is_key_changed: bool = False
    is_outdated: bool = False
    """Whether the pods wait for their turn to be upgraded."""
    is_settled: bool = False
    """Whether every child was found to be as it should be, and nothing else is to be said."""
    live: str | None = None
    """The hash of live settings that every pod should have loaded."""
    paused_until: datetime | None = None
    """Until when nothing is written, where somebody said so."""


@dataclass(frozen=True)
class Reconciler:
    """Makes passes. Every one does the whole, whatever woke it."""

    api: KubeApi
    platform: Platform
    signing: Signing
    servers: Servers
    world: World
    writer: Writer
    rounds: Rounds
    issuer: ClusterIssuer
    statuses: Statuses
    events: Events
    upgrades: Upgrades
    now: Callable[[], datetime]
    entropy: Callable[[int], bytes]
    clock: Callable[[], float] = time.monotonic
    settled: Settled[Seen] = field(default_factory=Settled)
    told: dict[Key, tuple[str, float]] = field(default_factory=dict)
    """Since when the pods of a server are to take over which live settings."""
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
        if self._is_ending(key, owner) or self._is_others(owner):
            return self._gone(key)
        try:
            seen = await self._made(key, owner)
            (self.paused.discard if seen.paused_until is None else self.paused.add)(key)
            if seen.failure is not None and seen.failure.namespace_ending:
                self.ending[key] = owner["metadata"]["uid"]
                return self._gone(key)
            pods = await self._observe(key, owner, seen)
            if wait := self._takeover_seconds(key, owner, seen, pods):
                return Result("waiting", again_seconds=wait)
            again = await self._conclude(key, seen, pods, failures)
        except OwnerGoneError:
            return self._gone(key)
        return _result(seen, self._again_seconds(seen, again))

    def _again_seconds(self, seen: Seen, again: float | None) -> float | None:
        """Say when to look again: at the latest when a pause is over."""
        if seen.paused_until is None:
            return again
        pause = max(0.0, (seen.paused_until - self.now()).total_seconds())
        return pause if again is None else min(again, pause)

    def _takeover_seconds(
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

    def _is_ending(self, key: Key, owner: Object) -> bool:
        """Whether a server is on its way out; a namespace that ends never comes back."""
        is_deleted = bool(owner["metadata"].get("deletionTimestamp"))
        return is_deleted or self.ending.get(key) == owner["metadata"]["uid"]

    def _is_others(self, owner: Object) -> bool:
        """Whether another operator looks after a server."""
        chosen = (owner.get("spec") or {}).get("operatorClass")
        return bool(chosen != self.platform.operator_class)

    async def _made(self, key: Key, owner: Object) -> Seen:
        """Make children what they should be, or know that they are."""
        known = self._paused(key, owner) or self.settled.get(key, owner)
        if known is None:
            state = self.settled.state(key)
            known = await self._make(owner)
            if known.is_settled:
                self.settled.keep(key, state, owner, known)
        elif known.is_settled and known.server is not None and known.revision is not None:
            await self.writer.prune(self._unused(known.server, known.revision))
        # What this pass finds out besides is its own.
        return replace(known, waits=[*known.waits], problems=[*known.problems])

    def _paused(self, key: Key, owner: Object) -> Seen | None:
        """Say what stands of a server of which nothing is written for now; None of any other."""
        try:
            until = paused_until(owner, self.now())
            if until is None:
                return None
            server = McpServer.parse(owner)
            allowed.check(server, self.platform)
        except SpecError as error:
            self.upgrades.leave(key)
            return Seen(faults=error.faults)
        self.upgrades.leave(key)
        stored = (owner.get("status") or {}).get("revision")
        return Seen(server=server, revision=stored, paused_until=until)

    async def _make(self, owner: Object) -> Seen:
        """Read, render, plan, apply."""
        seen = Seen()
        try:
            seen.server = server = McpServer.parse(owner)
            allowed.check(server, self.platform)
            intent = await self._intent(server, seen)
            manifests = children(intent)
            desired = [self._child(manifest, intent) for manifest in manifests]
        except SpecError as error:
            # What runs keeps running: no child is touched while nobody can say what it should be.
            seen.faults = error.faults
            self.upgrades.leave((owner["metadata"]["namespace"], owner["metadata"]["name"]))
            return seen
        # The intent itself is large, and what is found out is remembered for every server.
        seen.revision, seen.key_secret = intent.revision.name, intent.keys.secret_name
        seen.live = live.wanted(intent, live_objects.written(manifests))
        seen.waits += missing(intent)
        await self._free(server, desired)
        written = await self.writer.write(server.uid, desired, lambda: self._confirm(owner))
        seen.waits += written.waits
        seen.problems += written.problems
        seen.failure = written.failure
        if written.failure is None:
            seen.is_key_changed = intent.keys.changed
            await self._prune(intent, desired)
        is_quiet = not (seen.waits or seen.problems or seen.faults or seen.is_key_changed)
        seen.is_settled = written.is_clean and is_quiet and not ring.is_turning(intent.ring)
        return seen

    async def _free(self, server: McpServer, desired: Sequence[Child]) -> None:
        """Take away an autoscaler that should not be, before we say ourselves how many pods."""
        surplus = plan.surplus(self.world.owned(server.uid), desired)
        await self.writer.prune([child for child in surplus if child.kind == AUTOSCALER])

    async def _intent(self, server: McpServer, seen: Seen) -> Intent:
        """Resolve what a manifest leaves to the cluster."""
        reading = await read(server, self.world, self.platform)
        keys = secrets.resolve(
            server, reading.source, reading.copy, self.signing.seed, self.entropy(KEY_BYTES)
        )
        certificate = serving_certificate.resolve(
            server, reading.certificate, reading.copy, self.now()
        )
        credentials = rate_store.resolve(
            server, self.platform.shared_rates, reading.rate_store, reading.copy
        )
        consumed = sources.consumed(server)
        read_at_start = sources.resolve(
            consumed, reading.sources, keys.hash_key, revision.remembered(server, reading.revisions)
        )
        stored = revisions(server, self.world, reading.revisions, read_at_start)
        seen.waits += sources.missing(server.namespace, consumed, reading.sources)
        waits = (keys.wait, certificate.wait, credentials.wait)
        seen.waits += [*reading.waits, *(wait for wait in waits if wait is not None)]
        seen.faults = claims.faults(server, reading.claims)
        held_ring = ring.read(reading.internal)
        intent = Intent(
            server=self._held(server, seen.faults),
            platform=self.platform,
            revision=self._revision(server, stored, read_at_start, seen),
            keys=keys,
            ring=held_ring or ring.first(server, self.now(), self.entropy(ring.FRESH_BYTES)),
            operator_keys=self.signing.public,
            claims=reading.claims,
            issuer=await self._issuer(server, seen),
            certificate=certificate,
            rate_store=credentials,
            kinds=self.world.kinds,
        )
        if held_ring is None:
            return intent
        key = server.namespace, server.name
        pods, probes = self.world.pods.together(key), self.rounds.known(key)
        fresh = self.entropy(ring.FRESH_BYTES)
        return rotation.turned(intent, pods, probes, self.now(), fresh)

    def _revision(
        self,
        server: McpServer,
        stored: Sequence[Object],
        read_at_start: Sequence[sources.Source],
        seen: Seen,
    ) -> revision.Revision:
        """Choose the revision to run: a newer rendering of it where that may be."""
        found = revision.current(server, self.platform, stored, read_at_start)
        key, is_asked = (server.namespace, server.name), server.spec.upgrade_policy == "InWaves"
        if not is_asked or not revision.is_outdated(found, server, self.platform):
            self.upgrades.leave(key)
            return found
        if self.upgrades.may(key):
            return revision.upgraded(server, self.platform, stored, read_at_start)
        seen.is_outdated = True
        return found

    async def _issuer(self, server: McpServer, seen: Seen) -> Issuer | None:
        """Say who makes service accounts' tokens; where nobody can, who last did."""
        key = server.namespace, server.name
        if server.spec.access.service_accounts is None:
            self.issuer.drop(key)
            return None
        try:
            return await self.issuer.use(key)
        except ApiError as error:
            copy = self.world.children[CONFIG_MAP].get(server.namespace, names.live(server.name))
            held = live.issuer(copy)
            if held is None:
                seen.waits.append(unknown_issuer(error))
            return held

    def _held(self, server: McpServer, faults: Sequence[Fault]) -> McpServer:
        """Keep a server true that asks for more pods than can share its claims.

        Keys are withdrawn and drift is repaired meanwhile; it has as many pods as are possible.

        Raises:
            SpecError: Nothing of it runs yet: it begins once the manifest is corrected.
        """
        if not faults:
            return server
        running = deployments.find(self.world, server.namespace, server.name)
        if running is None:
            raise SpecError(faults)
        fewer = {"replicas": claims.REPLICAS_MAX, "autoscaling": None}
        spec = server.spec.model_copy(update=fewer)
        return server.model_copy(update={"spec": spec})

    async def _observe(self, key: Key, owner: Object, seen: Seen) -> list[Pod]:
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

    async def _conclude(
        self, key: Key, seen: Seen, pods: Sequence[Pod], failures: int
    ) -> float | None:
        """Write the status, and say what turned; return in how long to do it where it can wait."""
        owner = self.servers.get(key)
        if owner is None:
            raise OwnerGoneError
        previous = owner.get("status") or {}
        facts = self._facts(owner, seen, pods, failures)
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
        if seen.is_key_changed and seen.key_secret is not None:
            self.events.post(owner, [_key_changed(seen.key_secret)])
        return written.again_seconds

    def _facts(self, owner: Object, seen: Seen, pods: Sequence[Pod], failures: int) -> Facts:
        namespace, name = owner["metadata"]["namespace"], owner["metadata"]["name"]
        failure, generation = seen.failure, owner["metadata"].get("generation", 0)
        previous = owner.get("status") or {}
        # What nobody acts upon was not observed either: who waits for a change goes on waiting.
        acted = previous.get("observedGeneration", 0) if seen.paused_until else generation
        is_held_back = acted != generation
        is_shown = failure is not None and (failure.refused or failures >= SHOWN_AFTER_FAILURES)
        return Facts(
            name=name,
            namespace=namespace,
            generation=acted,
            now=self.now(),
            server=seen.server if not seen.faults and not is_held_back else None,
            faults=seen.faults,
            waits=tuple(seen.waits),
            problems=tuple(seen.problems),
            failures=(failure,) if failure is not None and is_shown else (),
            paused_until=seen.paused_until,
            is_held_back=is_held_back,
            deployment=deployments.find(self.world, namespace, name),
            pods=tuple(pods),
            endpoints=self.world.ready_endpoints((namespace, name)),
            revision=seen.revision,
            live=seen.live,
            is_outdated=seen.is_outdated,
            key_secret=seen.key_secret,
            previous=previous,
        )

    async def _confirm(self, owner: Object) -> None:
        """Make sure that a server is still there: our watch may have missed its deletion."""
        metadata = owner["metadata"]
        try:
            found = await self.api.get(MCP_SERVER, metadata["namespace"], metadata["name"])
        except ApiError as error:
            if not error.not_found:
                raise
            self.servers.gone(owner)
            raise OwnerGoneError from error
        if found["metadata"]["uid"] != metadata["uid"]:
            self.servers.gone(owner)
            self.servers.saw(found)
            raise OwnerGoneError
        if found["metadata"].get("deletionTimestamp"):
            self.servers.saw(found)
            raise OwnerGoneError

    async def _prune(self, intent: Intent, desired: Sequence[Child]) -> None:
        """Delete children that should not be, and revisions that no pod needs."""
        surplus = plan.surplus(self.world.owned(intent.server.uid), desired)
        await self.writer.prune([*surplus, *self._unused(intent.server, intent.revision.name)])

    def _unused(self, server: McpServer, current: str) -> list[Child]:
        """Find revisions that no pod needs."""
        deployment = deployments.find(self.world, server.namespace, server.name)
        if deployment is None or not deployments.is_complete(deployment):
            return []
        stored = self.world.children[CONTROLLER_REVISION].together(server.uid)
        running = _revisions(self.world.pods.together((server.namespace, server.name)))
        unused = revision.unused(stored, current, running)
        return [Child(CONTROLLER_REVISION, dict(one), dict(one)) for one in unused]

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

    def _child(self, manifest: Object, intent: Intent) -> Child:
        kind = plan.kind_of(manifest)
        metadata = manifest["metadata"]
        found = self.world.children[kind].get(metadata["namespace"], metadata["name"])
        if kind != DEPLOYMENT or "replicas" in manifest["spec"]:
            return Child(kind, manifest, found)
        begin = at_birth(intent)
        # An autoscaler leaves a Deployment alone that has no pods at all.
        if found is not None and found["spec"].get("replicas") == 0:
            return Child(kind, merged(manifest, begin), found)
        return Child(kind, manifest, found, begin)

    def _gone(self, key: Key) -> Result:
        self.world.forget(key)
        self.rounds.drop(key)
        self.issuer.drop(key)
        self.statuses.forget(key)
        self.settled.forget(key)
        self.told.pop(key, None)
        self.paused.discard(key)
        self.upgrades.forget(key)
        return Result("gone")


def _slot(pod: Object) -> str | None:
    slot: str | None = (pod["metadata"].get("labels") or {}).get(SLOT_LABEL)
    return slot


def _is_behind(pod: Pod, wanted: str) -> bool:
    """Whether a pod shows that it runs on other settings and was not yet told of these."""
    metadata, probe = pod.object["metadata"], pod.probe
    has_answered = probe is not None and (probe.reached or probe.fault == KEY_UNKNOWN)
    is_old = probe is not None and has_answered and probe.live != wanted
    return is_old and metadata["annotations"].get(LIVE_ANNOTATION) != wanted


def _revisions(pods: Sequence[Object]) -> set[str]:
    labels = [pod["metadata"].get("labels") or {} for pod in pods]
    return {found[REVISION_LABEL] for found in labels if REVISION_LABEL in found}


def _key_changed(secret: str) -> News:
    return News(
        is_good=False,
        reason="KeyChanged",
        note=f"The generated key in Secret {secret} was lost and a new one was made; "
        "clients have to read it again",
    )


def _result(seen: Seen, again_seconds: float | None) -> Result:
    if seen.failure is not None:
        return Result("failed", failure=seen.failure)
    if seen.faults:
        return Result("invalid", again_seconds=again_seconds)
    if seen.paused_until is not None:
        return Result("waiting", again_seconds=again_seconds)
    if seen.problems:
        again_seconds = min(again_seconds or TAKEN_AGAIN_SECONDS, TAKEN_AGAIN_SECONDS)
    outcome = "waiting" if seen.waits or seen.problems else "done"
    return Result(outcome, again_seconds=again_seconds)
