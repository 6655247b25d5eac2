"""Whether a live object says what it should."""

from collections.abc import Mapping, Sequence
from typing import Any

from breakwater_operator.render.manifest import Live, Manifest
from breakwater_operator.render.metadata import MORE_LABELS_ANNOTATION

MERGE_KEYS: Mapping[str, tuple[str, ...]] = {
    "containers": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "ports": ("containerPort", "port", "protocol"),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
"""By what the items of a list are known, by the list's field. Other lists are one value, and so is
one in which two items are known by the same: a NetworkPolicy may name a port twice."""

Key = tuple[Any, ...]


def differs(desired: Manifest, live: Live) -> bool:
    """Say whether some field of `desired` is missing or different in `live`.

    What only `live` has does not count: the API server's defaults, other managers' fields. Lists
    with a merge key are compared by it. What was added where everything is ours is found by
    `exclusive.foreign`.
    """
    return not covers(desired, live) or _has_old_labels(desired, live)


def _has_old_labels(desired: Manifest, live: Live) -> bool:
    """Whether labels of ours are there that are no longer asked for: an apply takes them away."""
    annotations = live["metadata"].get("annotations") or {}
    asked = desired["metadata"].get("annotations") or {}
    return MORE_LABELS_ANNOTATION in annotations and MORE_LABELS_ANNOTATION not in asked


def must_replace(desired: Manifest, live: Live) -> bool:
    """Say whether only deleting and making anew leads from `live` to `desired`.

    True for a ControllerRevision with other data, a Deployment with another selector, a Secret of
    another type, a Secret or ConfigMap with other data that somebody made immutable.
    """
    match desired["kind"]:
        case "ControllerRevision":
            return bool(desired["data"] != live.get("data"))
        case "Deployment":
            return bool(desired["spec"]["selector"] != live["spec"]["selector"])
        case "Secret" | "ConfigMap":
            sealed = bool(live.get("immutable")) and desired["data"] != live.get("data")
            return sealed or desired.get("type") != live.get("type")
        case _:
            return False


def covers(desired: Any, live: Any, field: str = "") -> bool:
    """Say whether `live` has everything that `desired` has, with the same values."""
    # Every pass comes here hundreds of times: what is equal as a whole is not taken apart, and
    # asking for a Mapping is slow.
    if desired == live:
        return True
    kind = type(desired)
    if kind is not type(live):
        return False
    if kind is dict:
        return _fields(desired, live)
    if kind is list:
        keys = MERGE_KEYS.get(field)
        return _items(desired, live, keys) if keys else _values(desired, live)
    return False


def _fields(desired: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    for name, value in desired.items():
        if name not in live or not covers(value, live[name], name):
            return False
    return True


def by_key(items: Sequence[Mapping[str, Any]], keys: tuple[str, ...]) -> dict[Key, Any]:
    """Arrange the items of a list by their merge key."""
    return {tuple(item.get(key) for key in keys): item for item in items}


def _items(desired: list[Any], live: list[Any], keys: tuple[str, ...]) -> bool:
    wanted = by_key(desired, keys)
    if len(wanted) < len(desired):
        return _values(desired, live)
    found = by_key(live, keys)
    return all(key in found and covers(item, found[key]) for key, item in wanted.items())


def _values(desired: list[Any], live: list[Any]) -> bool:
    return len(desired) == len(live) and all(map(covers, desired, live))
