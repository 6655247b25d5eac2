"""The Secrets and ConfigMaps that backends read when they start: part of a revision by a hash.

Only the entries that are named are hashed, under a key that nobody outside knows. Beside each hash
stand uid and resourceVersion of the object, so that a lost key renames nothing that is unchanged.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from breakwater_operator.api.errors import NotReadyError
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.once import Once
from breakwater_operator.api.reasons import Reason
from breakwater_operator.render.manifest import Live

KINDS = {"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"}

Name = tuple[str, str]
"""Kind and name."""

NOWHERE = ("", "")
"""uid and resourceVersion of what does not exist."""


@dataclass(frozen=True)
class Consumed:
    """One object that pods read, and what of it."""

    kind: str
    name: str
    entries: tuple[str, ...] | None
    """The entries that are named, in alphabetical order; None: all of them."""
    required: tuple[str, ...]
    """Those without which no pod starts; of an object that is named as a whole, the empty one."""

    @property
    def key(self) -> Name:
        """By what it is found."""
        return self.kind, self.name


@dataclass(frozen=True)
class Source:
    """What a revision remembers of one object."""

    kind: str
    name: str
    entries: tuple[str, ...] | None
    uid: str
    version: str
    hash: str

    def data(self) -> dict[str, Any]:
        """Write it for a ControllerRevision."""
        return {
            "kind": self.kind,
            "name": self.name,
            **({} if self.entries is None else {"entries": list(self.entries)}),
            "uid": self.uid,
            "resourceVersion": self.version,
            "hash": self.hash,
        }


@Once
def consumed(server: McpServer) -> tuple[Consumed, ...]:
    """Name what the pods of a server read when they start, by kind and name."""
    spec = server.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    found: dict[Name, list[tuple[str, bool]]] = {}
    for reference in _references(spec["backends"]):
        for field, kind in KINDS.items():
            if one := reference.get(field):
                entry = one["key"], not one.get("optional", False)
                found.setdefault((kind, one["name"]), []).append(entry)
    for volume in spec.get("pod", {}).get("volumes", ()):
        if files := volume.get("configMap"):
            is_required = not files.get("optional", False)
            keys = [item["key"] for item in files.get("items", ())] or [""]
            entries = [(key, is_required) for key in keys]
            found.setdefault(("ConfigMap", files["name"]), []).extend(entries)
    return tuple(_consumed(*key, entries) for key, entries in sorted(found.items()))


def resolve(
    wanted: Iterable[Consumed],
    found: Mapping[Name, Live],
    hash_key: bytes,
    stored: Sequence[Mapping[str, Any]],
) -> tuple[Source, ...]:
    """Hash what pods would read if they started now.

    Args:
        wanted: From `consumed`.
        found: The objects as they are; one that does not exist is absent.
        hash_key: The server's own.
        stored: What the revisions of the server remember, newest first: for an object that has not
            changed since, and for one that is missing now or lacks an entry without which no pod
            starts, that holds.
    """
    return tuple(
        _unchanged(one, found.get(one.key), stored) or _fresh(one, found.get(one.key), hash_key)
        for one in wanted
    )


def digest(sources: Iterable[Source]) -> str:
    """Name what pods read by its content; empty where they read nothing."""
    return digest_of([source.data() for source in sources])


def digest_of(data: Iterable[Mapping[str, Any]]) -> str:
    """Name likewise what a ControllerRevision remembers."""
    pairs = [(source["kind"], source["name"], source["hash"]) for source in data]
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest() if pairs else ""


def missing(
    namespace: str, wanted: Iterable[Consumed], found: Mapping[Name, Live]
) -> tuple[NotReadyError, ...]:
    """Say what is missing without which no pod starts."""
    return tuple(_missing(namespace, wanted, found))


def _missing(
    namespace: str, wanted: Iterable[Consumed], found: Mapping[Name, Live]
) -> Iterator[NotReadyError]:
    for one in wanted:
        live, title = found.get(one.key), f"{one.kind} {namespace}/{one.name}"
        if live is None and one.required:
            yield NotReadyError(
                Reason.SOURCE_MISSING,
                f"{title} does not exist; create it, or correct its name in the manifest",
            )
        if live is not None and (absent := _absent(one, live)):
            yield NotReadyError(
                Reason.SOURCE_MISSING,
                f"{title} has no entry {', '.join(absent)}; add it, or correct the key in the "
                "manifest",
            )


def _consumed(kind: str, name: str, entries: Sequence[tuple[str, bool]]) -> Consumed:
    keys = sorted({key for key, _ in entries})
    required = sorted({key for key, is_required in entries if is_required})
    return Consumed(kind, name, None if "" in keys else tuple(keys), tuple(required))


def _references(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every `valueFrom`, wherever a backend has it."""
    # Asking for a Mapping is slow.
    if type(value) is dict:
        if isinstance(reference := value.get("valueFrom"), dict):
            yield reference
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _unchanged(
    one: Consumed, live: Live | None, stored: Sequence[Mapping[str, Any]]
) -> Source | None:
    version, is_there = _version(live), live is not None and not _absent(one, live)
    for held in stored:
        entries = None if held.get("entries") is None else tuple(held["entries"])
        if (held["kind"], held["name"], entries) != (*one.key, one.entries):
            continue
        at = held["uid"], held["resourceVersion"]
        if at == version or (not is_there and at != NOWHERE):
            return Source(*one.key, entries, *at, held["hash"])
    return None


def _absent(one: Consumed, live: Live) -> list[str]:
    """Name the entries without which no pod starts and that are not there."""
    entries = _entries(live)
    return [key for key in one.required if key and key not in entries]


def _fresh(one: Consumed, live: Live | None, hash_key: bytes) -> Source:
    entries = _entries(live) if live is not None else {}
    named = entries.keys() if one.entries is None else entries.keys() & set(one.entries)
    text = json.dumps([one.kind, one.name, {key: entries[key] for key in sorted(named)}])
    made = hmac.new(hash_key, text.encode(), hashlib.sha256).hexdigest()[:16]
    return Source(*one.key, one.entries, *_version(live), made)


def _entries(live: Live) -> dict[str, str]:
    return {**(live.get("data") or {}), **(live.get("binaryData") or {})}


def _version(live: Live | None) -> tuple[str, str]:
    metadata = (live or {}).get("metadata") or {}
    return metadata.get("uid", ""), metadata.get("resourceVersion", "")
