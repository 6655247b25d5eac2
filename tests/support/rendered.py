"""What the children of a server should be, worked out from what the API server has now.

The operator keeps caches and remembers what it has looked at. Here the same pure functions are
given what the API server says, as an operator would that was started this moment.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from breakwater_contract.names import REVISION_LABEL, SERVER_LABEL
from breakwater_operator.api import names
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import Platform
from breakwater_operator.kube.kinds import (
    CHILDREN,
    CLAIM,
    CONFIG_MAP,
    CONTROLLER_REVISION,
    MCP_SERVER,
    OPTIONAL,
    POD,
    SECRET,
    Kind,
)
from breakwater_operator.reconcile import signing
from breakwater_operator.reconcile.plan import kind_of
from breakwater_operator.render import (
    Claim,
    Intent,
    children,
    claims,
    drift,
    exclusive,
    live,
    revision,
    ring,
    secrets,
    serving_certificate,
    sources,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.operator_ground import Ground

Object = dict[str, Any]
Name = tuple[str, str]
"""Kind and name."""

SOURCES = {kind.name: kind for kind in (SECRET, CONFIG_MAP)}


def rendered(op: Ground, name: str, optional: Sequence[Kind] = ()) -> dict[Name, Object]:
    """Render all children of a server.

    Args:
        op: Where the server is.
        name: The server.
        optional: Which of the optional kinds the cluster knows.
    """
    found = children(_intent(op, McpServer.parse(op.find(MCP_SERVER, name)), optional))
    return {(one["kind"], one["metadata"]["name"]): dict(one) for one in found}


def faults(op: Ground, name: str, optional: Sequence[Kind] = ()) -> list[str]:
    """Say which children of a server are not as rendered, too many or missing."""
    wanted = rendered(op, name, optional)
    found = owned(op, name, optional)
    found |= {what: one for what in wanted.keys() - found.keys() if (one := _get(op, wanted[what]))}
    needed = {one for one in found.keys() - wanted.keys() if not _is_needed(op, name, found[one])}
    said = [f"{kind} {title} is too much" for kind, title in sorted(needed)]
    said += [f"{kind} {title} is missing" for kind, title in sorted(wanted.keys() - found.keys())]
    for what in sorted(wanted.keys() & found.keys()):
        if drift.differs(wanted[what], found[what]):
            said.append(f"{' '.join(what)} differs")
        said += [f"{' '.join(what)}: {one}" for one in exclusive.foreign(wanted[what], found[what])]
    return said


def owned(op: Ground, name: str, optional: Sequence[Kind] = ()) -> dict[Name, Object]:
    """All children of a server as they are."""
    found = {}
    for kind in (*CHILDREN, *optional):
        for one in op.api.get(kind.path(op.namespace))["items"]:
            owners = one["metadata"].get("ownerReferences") or ()
            if any((each["kind"], each["name"]) == (MCP_SERVER.name, name) for each in owners):
                # A list says once for all of its items what they are.
                sort = {"apiVersion": kind.api_version, "kind": kind.name}
                found[kind.name, one["metadata"]["name"]] = one | sort
    return found


def known(op: Ground) -> tuple[Kind, ...]:
    """Which optional kinds the cluster knows."""
    return tuple(kind for kind in OPTIONAL if op.api.find(kind.path(op.namespace)) is not None)


def _get(op: Ground, manifest: Object) -> Object | None:
    """One that has no owner on purpose: it stays when its server goes."""
    found = op.get(kind_of(manifest), manifest["metadata"]["name"])
    is_owned = bool(manifest["metadata"].get("ownerReferences"))
    return None if found is None or is_owned else found | {"kind": manifest["kind"]}


def _is_needed(op: Ground, name: str, child: Object) -> bool:
    """Whether a child is a revision of which there are pods."""
    label = (child["metadata"].get("labels") or {}).get(REVISION_LABEL)
    pods = op.api.get(f"{POD.path(op.namespace)}?labelSelector={SERVER_LABEL}={name}")["items"]
    running = {one["metadata"]["labels"].get(REVISION_LABEL) for one in pods}
    return child["kind"] == CONTROLLER_REVISION.name and label in running


def _intent(op: Ground, server: McpServer, optional: Sequence[Kind]) -> Intent:
    platform = Platform.parse(op.operator.configuration)
    own_path = SECRET.path(platform.namespace, signing.secret_name(platform))
    own = signing.read(op.api.get(own_path))
    copy = op.get(SECRET, names.live(server.name))
    key_secret = op.get(SECRET, secrets.key_secret_name(server))
    generated = op.get(SECRET, names.key_secret(server.name))
    keys = secrets.resolve(server, key_secret, copy, own.seed, bytes(32), generated)
    consumed = sources.consumed(server)
    found = {one.key: op.get(SOURCES[one.kind], one.name) for one in consumed}
    there = {key: one for key, one in found.items() if one is not None}
    stored = _revisions(op, server)
    remembered = revision.remembered(server, stored)
    read_at_start = sources.resolve(consumed, there, keys.hash_key, remembered)
    held_ring = ring.read(op.get(SECRET, names.internal(server.name)))
    now = datetime.now(UTC)  # noqa: TID251 - as the operator's own clock says
    return Intent(
        server=server,
        platform=platform,
        revision=revision.current(server, platform, stored, read_at_start),
        keys=keys,
        ring=held_ring or ring.first(server, now, bytes(ring.FRESH_BYTES)),
        operator_keys=own.public,
        claims=_claims(op, server),
        issuer=live.issuer(op.get(CONFIG_MAP, names.live(server.name))),
        certificate=serving_certificate.resolve(server, _certificate(op, server), copy, now),
        kinds=frozenset(kind.name for kind in optional),
    )


def _certificate(op: Ground, server: McpServer) -> Object | None:
    secret = serving_certificate.looked_at(server)
    return op.get(SECRET, secret) if secret else None


def _claims(op: Ground, server: McpServer) -> dict[str, Claim]:
    found = {name: op.get(CLAIM, name) for name in claims.named(server)}
    return {
        name: Claim(tuple(one["spec"].get("accessModes") or ()))
        for name, one in found.items()
        if one is not None
    }


def _revisions(op: Ground, server: McpServer) -> list[Object]:
    path = CONTROLLER_REVISION.path(op.namespace)
    query = f"?labelSelector={SERVER_LABEL}={server.name}"
    found: list[Object] = op.api.get(path + query)["items"]
    return found
