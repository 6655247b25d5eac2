"""What a server should be, with everything that its manifest leaves to the cluster."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from breakwater_operator.api import names
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import Platform
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import CONFIG_MAP
from breakwater_operator.probe.rounds import Rounds
from breakwater_operator.reconcile import deployments, rotation
from breakwater_operator.reconcile.issuer import ClusterIssuer, unknown_issuer
from breakwater_operator.reconcile.older import Carrying
from breakwater_operator.reconcile.reading import read, revisions
from breakwater_operator.reconcile.seen import Seen
from breakwater_operator.reconcile.signing import Signing
from breakwater_operator.reconcile.upgrades import Upgrades
from breakwater_operator.reconcile.world import World
from breakwater_operator.render import (
    Intent,
    Issuer,
    claims,
    held,
    live,
    rate_store,
    revision,
    ring,
    secrets,
    serving_certificate,
    sources,
)
from breakwater_operator.status.facts import Problem

Object = dict[str, Any]

KEY_BYTES = 32
"""Random bytes of a generated key."""


@dataclass(frozen=True)
class Intents:
    """Resolves what manifests leave to the cluster."""

    platform: Platform
    signing: Signing
    world: World
    rounds: Rounds
    issuer: ClusterIssuer
    upgrades: Upgrades
    carrying: Carrying
    now: Callable[[], datetime]
    entropy: Callable[[int], bytes]

    async def of(self, server: McpServer, seen: Seen) -> Intent:
        """Resolve what a manifest leaves to the cluster."""
        reading = await read(server, self.world, self.platform)
        keys = secrets.resolve(
            server,
            reading.source,
            reading.copy,
            self.signing.seed,
            self.entropy(KEY_BYTES),
            reading.generated,
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
        seen.until = certificate.until
        if (wrong := certificate.problem) is not None:
            seen.problems.append(Problem(wrong.reason, str(wrong)))
        seen.faults = claims.faults(server, reading.claims)
        running = self._running(server, stored)
        possible = held.possible(server, reading.claims, running)
        wanted = self._revision(server, stored, read_at_start, seen)
        kept = self._kept(possible, wanted, reading.claims, running)
        seen.awaited = wanted.name if kept is not wanted else None
        held_ring = ring.read(reading.internal)
        intent = Intent(
            server=possible,
            platform=self.platform,
            revision=kept,
            keys=keys,
            ring=held_ring or ring.first(server, self.now(), self.entropy(ring.FRESH_BYTES)),
            operator_keys=self.signing.public,
            claims=reading.claims,
            issuer=await self._issuer(server, seen),
            certificate=certificate,
            rate_store=credentials,
            # Where pods stay of an older revision, they have the backends of that one.
            carried=self.carrying.of(server, stored, wanted.name),
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
        """Choose the revision to run: a newer rendering of it where that may be.

        One of which no pod was ever ready is rendered again at once: nobody is served by it, and
        what keeps it from that may have been a default that the platform's owner has mended.
        """
        found = revision.current(server, self.platform, stored, read_at_start)
        key, is_asked = (server.namespace, server.name), server.spec.upgrade_policy == "InWaves"
        has_run = deployments.has_run(self.world, key, found.name, was_verified=seen.was_verified)
        is_possible = is_asked or not has_run
        if not is_possible or not revision.is_outdated(found, server, self.platform):
            self.upgrades.leave(key)
            return found
        if has_run and not self.upgrades.may(key):
            seen.is_outdated = True
            return found
        takes_turn = has_run or revision.took_turn(found.data)
        return revision.upgraded(
            server, self.platform, stored, read_at_start, takes_turn=takes_turn
        )

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

    def _kept(
        self,
        server: McpServer,
        wanted: revision.Revision,
        found: Mapping[str, claims.Claim],
        running: revision.Revision | None,
    ) -> revision.Revision:
        """Choose the revision to run: the old one while the new one cannot be, or not yet."""
        kept = held.kept(wanted, found, running)
        deployment = deployments.find(self.world, server.namespace, server.name)
        if running is None or deployment is None or server.is_autoscaled:
            return kept
        is_recreated = not claims.shareable(kept.template, found)
        is_later = is_recreated and deployments.is_counted_first(deployment, server.wanted_replicas)
        return running if is_later else kept

    def _running(self, server: McpServer, stored: Sequence[Object]) -> revision.Revision | None:
        """Find the revision of the pods, where claims may keep them as they are."""
        if not claims.named(server):
            return None
        deployment = deployments.find(self.world, server.namespace, server.name)
        return revision.running(server, stored, deployments.revision_of(deployment))
