"""Revisions: what belongs to the identity of a pod, by a name that is a hash of it."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from breakwater_contract.names import REVISION_LABEL
from breakwater_operator.api.leaves import Effect, select
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.once import Once
from breakwater_operator.api.platform import Platform
from breakwater_operator.render import pod, sources
from breakwater_operator.render.manifest import Live
from breakwater_operator.render.sources import Source

NAME_DIGITS = 10
DATA_VERSION = 1

NUMBER = "number"
"""In the data of a revision: which one it is, as its field `revision` says, that may be edited."""

UPGRADE = "upgrade"
"""In the data of a revision that was rendered again although its spec stayed: its number."""

UNTRIED = "untried"
"""In the data of such a one, where no pod of the one before was ever ready: it took no turn."""


@dataclass(frozen=True)
class Revision:
    """The pods of one server as one state of its spec and platform made them."""

    name: str
    """Hash of the revisioned leaves of the spec and of what pods read: ten hexadecimal digits."""
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

    @property
    def sources(self) -> Sequence[Mapping[str, Any]]:
        """The Secrets and ConfigMaps that its pods read, with a hash of each."""
        found: Sequence[Mapping[str, Any]] = self.data.get("sources", ())
        return found


@Once
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


def name(server: McpServer, read_at_start: Sequence[Source] = ()) -> str:
    """Name the revision that a server's spec and what its pods read ask for."""
    return _name(spec_hash(server), sources.digest(read_at_start))


def current(
    server: McpServer,
    platform: Platform,
    stored: Iterable[Live],
    read_at_start: Sequence[Source] = (),
) -> Revision:
    """Find the revision that a server should run.

    Args:
        server: The server.
        platform: Defaults for what the spec leaves open; they count only for a new revision.
        stored: The server's ControllerRevisions. Where one of them is of this spec, it is taken as
            it is, so that neither a newer operator nor a changed default restarts pods.
        read_at_start: The Secrets and ConfigMaps that its pods read, from `sources.resolve`.
    """
    found = [revision for item in stored if (revision := read(item, server)) is not None]
    wanted = spec_hash(server), sources.digest(read_at_start)
    same = [revision for revision in found if _asked_by(revision) == wanted]
    if same:
        return max(same, key=lambda revision: revision.number)
    return _new(server, platform, 1 + _newest(found), read_at_start)


def is_outdated(found: Revision, server: McpServer, platform: Platform) -> bool:
    """Say whether today's operator and platform would make other pods of a revision's spec."""
    return _text(pod.template(server, platform, found.name)) != _text(found.template)


def upgraded(
    server: McpServer,
    platform: Platform,
    stored: Iterable[Live],
    read_at_start: Sequence[Source] = (),
    *,
    takes_turn: bool = True,
) -> Revision:
    """Render a revision again, as one of its own: what is stored of one never changes.

    It is newer than every other one, so that it stays the current one of its spec.
    """
    found = [revision for item in stored if (revision := read(item, server)) is not None]
    number = 1 + _newest(found)
    again = {UPGRADE: number} | ({} if takes_turn else {UNTRIED: True})
    return _new(server, platform, number, read_at_start, again)


def took_turn(data: Mapping[str, Any]) -> bool:
    """Whether a revision was rendered again when it was its server's turn."""
    return UPGRADE in data and UNTRIED not in data


def remembered(server: McpServer, stored: Iterable[Live]) -> list[Mapping[str, Any]]:
    """Say what the revisions of a server remember of Secrets and ConfigMaps, newest first."""
    return [source for revision in _newest_first(server, stored) for source in revision.sources]


def running(server: McpServer, stored: Iterable[Live], name: str | None) -> Revision | None:
    """Find the revision that the pods of a server are of; None where it never had any.

    Args:
        server: The server.
        stored: Its ControllerRevisions.
        name: What its Deployment says. Where that is no revision, or there is no Deployment, it was
            the newest one.
    """
    found = _newest_first(server, stored)
    same = [revision for revision in found if revision.name == name]
    return next(iter([*same, *found]), None)


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
        and _name_of(data) == label
        and isinstance(data.get("template"), Mapping)
    )
    return Revision(str(label), _number(stored, data), data) if known and data else None


def _number(stored: Live, data: Mapping[str, Any]) -> int:
    """Read which one it is from what nobody can edit; older ones have it in the field alone."""
    number = data.get(NUMBER)
    return number if isinstance(number, int) else int(stored.get("revision", 0))


def unused(stored: Iterable[Live], current: str, running: Iterable[str]) -> tuple[Live, ...]:
    """Say which ControllerRevisions neither the spec nor any pod needs.

    Args:
        stored: The server's ControllerRevisions.
        current: The name of the revision that the server should run.
        running: The revision labels of its pods and of its ReplicaSets that have replicas.
    """
    needed = {current, *running}
    return tuple(item for item in stored if _label(item) not in needed)


def _newest_first(server: McpServer, stored: Iterable[Live]) -> list[Revision]:
    found = [revision for item in stored if (revision := read(item, server)) is not None]
    return sorted(found, key=lambda revision: -revision.number)


def _label(stored: Live) -> str | None:
    label: str | None = (stored["metadata"].get("labels") or {}).get(REVISION_LABEL)
    return label


def _asked_by(revision: Revision) -> tuple[str, str]:
    """What of a server asks for a revision."""
    return str(revision.data["spec"]), sources.digest_of(revision.sources)


def _newest(found: Iterable[Revision]) -> int:
    return max((revision.number for revision in found), default=0)


def _name_of(data: Mapping[str, Any]) -> str:
    content = sources.digest_of(data.get("sources", ()))
    return _name(str(data.get("spec", "")), content, data.get(UPGRADE))


def _name(spec: str, content: str, upgrade: int | None = None) -> str:
    if not content and upgrade is None:
        return spec[:NAME_DIGITS]
    again = "" if upgrade is None else f"/{upgrade}"
    return hashlib.sha256(f"{spec}{content}{again}".encode()).hexdigest()[:NAME_DIGITS]


def _new(
    server: McpServer,
    platform: Platform,
    number: int,
    read_at_start: Sequence[Source],
    again: Mapping[str, Any] = {},
) -> Revision:
    spec = spec_hash(server)
    revision = _name(spec, sources.digest(read_at_start), again.get(UPGRADE))
    data = {
        "version": DATA_VERSION,
        "server": {"uid": server.uid},
        "spec": spec,
        NUMBER: number,
        "image": pod.image(server, platform),
        "template": pod.template(server, platform, revision),
        **({"sources": [source.data() for source in read_at_start]} if read_at_start else {}),
        **again,
    }
    return Revision(revision, number, data)


def _text(template: Mapping[str, Any]) -> str:
    return json.dumps(template, sort_keys=True)


_ORDERLESS = {"volumes": "name", "volumeMounts": "mountPath"}


def _sorted(value: Any) -> Any:
    # Asking for a Mapping is slow.
    if type(value) is dict:
        return {key: _in_order(key, _sorted(item)) for key, item in value.items()}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _in_order(key: str, value: Any) -> Any:
    by = _ORDERLESS.get(key)
    return sorted(value, key=lambda item: str(item[by])) if by else value
