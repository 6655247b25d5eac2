"""What has to be done so that the children are as rendered. Decisions only."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from hashlib import blake2b
from typing import Any

from breakwater_contract.names import SERVER_LABEL
from breakwater_operator.api.errors import NotReadyError
from breakwater_operator.api.names import MANAGER
from breakwater_operator.api.reasons import Reason
from breakwater_operator.kube.kinds import CHILDREN, CONTROLLER_REVISION, OPTIONAL, Kind
from breakwater_operator.reconcile.world import controller, is_mcp_server
from breakwater_operator.render import drift, exclusive
from breakwater_operator.status.facts import Problem

Object = dict[str, Any]

KINDS: Mapping[tuple[str, str], Kind] = {
    (kind.api_version, kind.name): kind for kind in (*CHILDREN, *OPTIONAL)
}


class Step(Enum):
    """What is done to one child."""

    KEEP = auto()
    """Nothing: it is as it should be."""
    CREATE = auto()
    REPAIR = auto()
    ADOPT = auto()
    """Give it its owner back, and repair it."""
    REPLACE = auto()
    """Delete it and make it anew: what differs cannot be changed."""
    WAIT = auto()
    """It is about to be collected: it was deleted, or belongs to an earlier server of this name."""
    LEAVE = auto()
    """It is not ours."""


@dataclass(frozen=True)
class Child:
    """One child as it should be and as it is."""

    kind: Kind
    desired: Object
    live: Object | None
    at_birth: Object | None = None
    """What it is made with beside that, and others may change later."""

    def found(self, live: Object | None) -> "Child":
        """The same child as it is by now."""
        return Child(self.kind, self.desired, live, self.at_birth)

    @property
    def name(self) -> str:
        """What it is called."""
        found: str = self.desired["metadata"]["name"]
        return found

    @property
    def title(self) -> str:
        """What messages call it, as in `Service team-a/crm`."""
        metadata = self.desired["metadata"]
        return f"{self.kind.name} {metadata['namespace']}/{metadata['name']}"


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    """The kind of a manifest that was rendered."""
    return KINDS[manifest["apiVersion"], manifest["kind"]]


def step(child: Child, uid: str) -> Step:
    """Say what has to be done to a child.

    Args:
        child: The child.
        uid: The uid of the McpServer.
    """
    live = child.live
    if live is None:
        return Step.CREATE
    owner = controller(live)
    if owner is None and outlives(child.desired) and is_labelled(live, child.desired):
        found = Step.REPAIR
    elif owner is None:
        found = Step.ADOPT if is_labelled(live, child.desired) else Step.LEAVE
    elif owner["uid"] == uid:
        found = Step.REPAIR
    else:
        found = Step.WAIT if _earlier(owner, child.desired) else Step.LEAVE
    if found in {Step.ADOPT, Step.REPAIR} and live["metadata"].get("deletionTimestamp"):
        return Step.WAIT
    if found is Step.REPAIR and is_clean(child):
        return Step.KEEP
    if found in {Step.ADOPT, Step.REPAIR} and drift.must_replace(child.desired, live):
        return Step.REPLACE
    return found


def is_clean(child: Child) -> bool:
    """Whether a child that exists is as it should be and nothing was added to it."""
    live = child.live
    return live is not None and is_applied(child) and not exclusive.foreign(child.desired, live)


def is_applied(child: Child) -> bool:
    """Whether a child that exists is as an apply makes it, whatever others have added."""
    live = child.live
    if live is None or drift.differs(child.desired, live):
        return False
    return not outlives(child.desired) or controller(live) is None


def outlives(desired: Object) -> bool:
    """Whether a child stays when its server goes."""
    return not desired["metadata"].get("ownerReferences")


def is_ownerless(child: Child) -> bool:
    """Whether a child exists and nobody controls it."""
    return child.live is not None and controller(child.live) is None


def is_labelled(live: Object, desired: Object) -> bool:
    """Whether an object carries the labels by which we know children of this server."""
    labels = live["metadata"].get("labels") or {}
    managed = labels.get("app.kubernetes.io/managed-by") == MANAGER
    server = desired["metadata"]["labels"][SERVER_LABEL]
    return managed and labels.get(SERVER_LABEL) == server


def surplus(owned: Iterable[tuple[Kind, Object]], desired: Iterable[Child]) -> list[Child]:
    """Children that exist and should not.

    ControllerRevisions are left out: old ones are kept as long as a pod needs them.
    """
    wanted = {(child.kind, child.desired["metadata"]["name"]) for child in desired}
    return [
        Child(kind, live, live)
        for kind, live in owned
        if kind != CONTROLLER_REVISION
        and (kind, live["metadata"]["name"]) not in wanted
        and not live["metadata"].get("deletionTimestamp")
    ]


def is_left(live: Object, desired: Object, server: Object) -> bool:
    """Whether an object was made for a server to outlive it, and that is no longer asked for.

    What is older than the server was left by an earlier one of its name, for whoever may want it.

    Args:
        live: The object.
        desired: Some child of the server.
        server: The McpServer as it is.
    """
    if controller(live) is not None or live["metadata"].get("deletionTimestamp"):
        return False
    born, since = (one["metadata"].get("creationTimestamp", "") for one in (live, server))
    return is_labelled(live, desired) and bool(born >= since)


def taken(child: Child) -> Problem:
    """Say that something else has a child's name."""
    owner = controller(child.live) if child.live is not None else None
    whose = f"belongs to {owner['kind']} {owner['name']}" if owner is not None else "is not ours"
    return Problem(
        Reason.NAME_TAKEN,
        f"{child.title} {whose} and is left alone; "
        "rename or delete it, or give the McpServer another name",
    )


def ending(child: Child, uid: str) -> NotReadyError:
    """Say that a child is still there that was deleted, or is of an earlier server."""
    owner = controller(child.live) if child.live is not None else None
    is_earlier = owner is not None and owner["uid"] != uid
    whose = "belongs to an earlier McpServer of this name and " if is_earlier else ""
    return NotReadyError(
        Reason.WAITING,
        f"{child.title} {whose}is being deleted; it is made anew once it is gone",
    )


def not_yet(child: Child, left: Object) -> NotReadyError:
    """Say that a Service is made only once what an earlier one of its name left is gone.

    Args:
        child: The Service.
        left: An EndpointSlice of the earlier one.
    """
    metadata = left["metadata"]
    return NotReadyError(
        Reason.WAITING,
        f"EndpointSlice {metadata['namespace']}/{metadata['name']} belongs to an earlier "
        f"{child.title} and is being deleted; the Service is made anew once it is gone",
    )


def fingerprint(child: Child) -> str:
    """Name a child as it should be together with what of it is ours to decide.

    What changes by itself, as its status does, is left out.
    """
    live = child.live or {}
    metadata = live.get("metadata", {})
    ours = {key: value for key, value in live.items() if key not in {"metadata", "status"}}
    kept = {key: metadata.get(key) for key in ("uid", "labels", "annotations", "ownerReferences")}
    text = json.dumps([child.desired, ours, kept], sort_keys=True)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _earlier(owner: Object, desired: Object) -> bool:
    return is_mcp_server(owner) and owner["name"] == desired["metadata"]["labels"][SERVER_LABEL]
