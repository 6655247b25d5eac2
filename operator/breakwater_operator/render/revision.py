"""Revisions: what belongs to the identity of a pod, by a name that is a hash of it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from breakwater_contract.names import REVISION_LABEL
from breakwater_operator.api.leaves import Effect, select
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import Platform
from breakwater_operator.render import pod
from breakwater_operator.render.manifest import Live

NAME_DIGITS = 10
DATA_VERSION = 1


@dataclass(frozen=True)
class Revision:
    """The pods of one server as one state of its spec and platform made them."""

    name: str
    """Hash of the revisioned leaves of the spec: ten hexadecimal digits."""
    number: int
    """Counts the revisions of a server, from 1."""
    data: Mapping[str, Any]
    """What its ControllerRevision keeps; never a secret."""

    @property
    def image(self) -> str:
        """The runtime image, with the platform's default of the day it was first rendered."""
        return str(self.data["image"])

    @property
    def template(self) -> Mapping[str, Any]:
        """The pod template, without the label of a slot."""
        template: Mapping[str, Any] = self.data["template"]
        return template


def spec_hash(server: McpServer) -> str:
    """Hash the revisioned leaves of a spec.

    Defaults are left out, so that a new field of a later version changes no hash; so is the order
    of volumes and mounts, which says nothing.
    """
    spec = server.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    chosen = _sorted(select(spec, Effect.REVISION))
    if server.tls is not None:
        # Whether pods speak TLS follows from what else leads to them.
        chosen = {**chosen, "tls": True}
    text = json.dumps(chosen, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def name(server: McpServer) -> str:
    """Name the revision that a server's spec asks for."""
    return spec_hash(server)[:NAME_DIGITS]


def current(server: McpServer, platform: Platform, stored: Iterable[Live]) -> Revision:
    """Find the revision that a server should run.

    Args:
        server: The server.
        platform: Defaults for what the spec leaves open; they count only for a new revision.
        stored: The server's ControllerRevisions. Where one of them is of this spec, it is taken as
            it is, so that neither a newer operator nor a changed default restarts pods.
    """
    found = [revision for item in stored if (revision := read(item, server)) is not None]
    wanted = spec_hash(server)
    for revision in found:
        if revision.data["spec"] == wanted:
            return revision
    return _new(server, platform, 1 + max((revision.number for revision in found), default=0))


def read(stored: Live, server: McpServer) -> Revision | None:
    """Read a ControllerRevision back; None where it is not one of this server.

    One of an earlier server of the same name does not count: its pods have another identity.
    """
    label = (stored["metadata"].get("labels") or {}).get(REVISION_LABEL)
    data = stored.get("data")
    known = (
        isinstance(data, Mapping)
        and data.get("version") == DATA_VERSION
        and data.get("server") == {"uid": server.uid}
        and str(data.get("spec", ""))[:NAME_DIGITS] == label
        and isinstance(data.get("template"), Mapping)
    )
    return Revision(str(label), int(stored.get("revision", 0)), data) if known and data else None


def unused(stored: Iterable[Live], current: Revision, running: Iterable[str]) -> tuple[Live, ...]:
    """Say which ControllerRevisions neither the spec nor any pod needs.

    Args:
        stored: The server's ControllerRevisions.
        current: The revision that the server should run.
        running: The revision labels of its pods and of its ReplicaSets that have replicas.
    """
    needed = {current.name, *running}
    return tuple(item for item in stored if _label(item) not in needed)


def _label(stored: Live) -> str | None:
    label: str | None = (stored["metadata"].get("labels") or {}).get(REVISION_LABEL)
    return label


def _new(server: McpServer, platform: Platform, number: int) -> Revision:
    revision = name(server)
    data = {
        "version": DATA_VERSION,
        "server": {"uid": server.uid},
        "spec": spec_hash(server),
        "image": pod.image(server, platform),
        "template": pod.template(server, platform, revision),
    }
    return Revision(revision, number, data)


_ORDERLESS = {"volumes": "name", "volumeMounts": "mountPath"}


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _in_order(key, _sorted(item)) for key, item in value.items()}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _in_order(key: str, value: Any) -> Any:
    by = _ORDERLESS.get(key)
    return sorted(value, key=lambda item: str(item[by])) if by else value
