"""Everything that a pass looks at besides the children: keys, claims, what pods say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from breakwater_operator.api import names
from breakwater_operator.api.errors import NotReadyError
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import Platform
from breakwater_operator.api.reasons import Reason
from breakwater_operator.kube.kinds import CLAIM, CONFIG_MAP, CONTROLLER_REVISION, SECRET
from breakwater_operator.reconcile import deployments
from breakwater_operator.reconcile.world import World, controller
from breakwater_operator.render import claims, revision, serving_certificate, sources
from breakwater_operator.render.secrets import key_secret_name

Object = dict[str, Any]

SOURCES = {kind.name: kind for kind in (SECRET, CONFIG_MAP)}


@dataclass(frozen=True)
class Reading:
    """What the children are rendered from, as it is now."""

    source: Object | None
    """The Secret with the keys."""
    generated: Object | None
    """The Secret with a generated key, where the one that the manifest names is not there."""
    copy: Object | None
    """The Secret with the copies of the keys."""
    internal: Object | None
    """The Secret that the pods share."""
    certificate: Object | None
    """The Secret with the certificate of the host."""
    rate_store: Object | None
    """The Secret with what opens the platform's store of shared rates."""
    revisions: list[Object]
    """The server's ControllerRevisions."""
    sources: Mapping[sources.Name, Object]
    """The Secrets and ConfigMaps that pods read when they start; one that does not exist is
    absent."""
    claims: Mapping[str, claims.Claim]
    """The claims that pods mount, by name; one that does not exist, or is being deleted, is absent:
    no pod that is made from now on gets it."""
    waits: list[NotReadyError]
    """What the manifest names and is not there."""


async def read(server: McpServer, world: World, platform: Platform) -> Reading:
    """Look at everything that a server refers to; what has not changed costs no request."""
    key_secret = (SECRET, server.namespace, key_secret_name(server))
    named = [(CLAIM, server.namespace, name) for name in claims.named(server)]
    name = serving_certificate.looked_at(server)
    tls = [(SECRET, server.namespace, name)] if name else []
    rates = platform.shared_rates
    name = rates.secret_name if rates is not None else None
    store = [(SECRET, server.namespace, name)] if name else []
    consumed = {
        one.key: (SOURCES[one.kind], server.namespace, one.name) for one in sources.consumed(server)
    }
    # The generated one is a child, and followed as such.
    keys = [key_secret] if server.spec.access.keys.secret_name else []
    world.references.use(
        (server.namespace, server.name), [*keys, *tls, *store, *named, *consumed.values()]
    )
    found = [await world.references.read(reference) for reference in named]
    read_at_start = [await world.references.read(reference) for reference in consumed.values()]
    source = await secret(world, server.namespace, key_secret[2])
    own_name = names.key_secret(server.name)
    return Reading(
        source=source,
        generated=await secret(world, server.namespace, own_name) if keys and not source else None,
        copy=await secret(world, server.namespace, names.live(server.name)),
        internal=await secret(world, server.namespace, names.internal(server.name)),
        certificate=await world.references.read(tls[0]) if tls else None,
        rate_store=await world.references.read(store[0]) if store else None,
        revisions=world.children[CONTROLLER_REVISION].together(server.uid),
        sources={
            key: live for key, live in zip(consumed, read_at_start, strict=True) if live is not None
        },
        claims={
            name: claims.Claim(tuple(live.get("spec", {}).get("accessModes") or ()))
            for (_, _, name), live in zip(named, found, strict=True)
            if live is not None and not _is_ending(live)
        },
        waits=[
            _missing_claim(server.namespace, name, live)
            for (_, _, name), live in zip(named, found, strict=True)
            if live is None or _is_ending(live)
        ],
    )


async def secret(world: World, namespace: str, name: str) -> Object | None:
    """Find a Secret, also one that lost the label by which we follow our own.

    Taken for gone, what is only in it would be made anew: the ring with which pods open sessions.
    """
    held = world.children[SECRET].get(namespace, name)
    return held or await world.references.read((SECRET, namespace, name))


def revisions(
    server: McpServer, world: World, known: list[Object], read_at_start: Sequence[sources.Source]
) -> list[Object]:
    """Add ControllerRevisions that lost their owner, or were lost as a whole.

    These are the one of the spec, and the one that the pods are of: of a revision that was rendered
    again the spec does not know the name.
    """
    running = deployments.revision_of(deployments.find(world, server.namespace, server.name))
    wanted = dict.fromkeys([revision.name(server, read_at_start), *filter(None, [running])])
    found = [_ownerless(server, world, names.controller_revision(server.name, n)) for n in wanted]
    return [*known, *(one for one in found if one is not None and one not in known)]


def _ownerless(server: McpServer, world: World, name: str) -> Object | None:
    cache = world.children[CONTROLLER_REVISION]
    found = cache.get(server.namespace, name) or world.lost((server.namespace, server.name), name)
    owner = controller(found) if found is not None else None
    return None if owner is not None and owner["uid"] != server.uid else found


def _is_ending(live: Object) -> bool:
    return bool(live["metadata"].get("deletionTimestamp"))


def _missing_claim(namespace: str, name: str, live: Object | None) -> NotReadyError:
    where = f"PersistentVolumeClaim {namespace}/{name}"
    if live is None:
        message = f"{where} does not exist; create it, or correct its name in spec.pod.volumes"
    else:
        message = (
            f"{where} is being deleted: pods that mount it keep it for as long as they run, and no "
            "new pod gets it; name another claim in spec.pod.volumes, or create it anew once it is "
            "gone"
        )
    return NotReadyError(Reason.CLAIM_MISSING, message)
