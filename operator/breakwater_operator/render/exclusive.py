"""What others have added where everything is ours: our containers, ports, data keys.

Server-side apply leaves fields of other managers alone, so an added variable would stay. These
patches take it away.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from breakwater_operator.render.drift import MERGE_KEYS, by_key
from breakwater_operator.render.manifest import Live, Manifest
from breakwater_operator.render.ownership import Path

Operation = dict[str, Any]

NEVER: Mapping[str, tuple[str, ...]] = {
    "Deployment": (
        "/spec/paused",
        "/spec/minReadySeconds",
        "/spec/template/spec/dnsConfig",
        "/spec/template/spec/hostAliases",
        "/spec/template/spec/hostIPC",
        "/spec/template/spec/hostNetwork",
        "/spec/template/spec/hostPID",
        "/spec/template/spec/hostUsers",
        "/spec/template/spec/hostname",
        "/spec/template/spec/nodeName",
        "/spec/template/spec/setHostnameAsFQDN",
        "/spec/template/spec/shareProcessNamespace",
        "/spec/template/spec/subdomain",
    ),
    "Service": (
        "/spec/externalIPs",
        "/spec/externalName",
        "/spec/loadBalancerIP",
        "/spec/loadBalancerSourceRanges",
        "/spec/publishNotReadyAddresses",
        "/spec/sessionAffinityConfig",
    ),
    "ConfigMap": ("/binaryData",),
}
"""Fields that no child of ours has: each would open what is closed or stop what runs.

Where pods are placed, and what others put beside our container, is not among them.
"""

OURS: Mapping[str, tuple[str, ...]] = {
    "Deployment": ("/spec/strategy", "/spec/template/spec/securityContext"),
    "Service": ("/spec/ports", "/spec/selector"),
    "Secret": ("/data",),
    "ConfigMap": ("/data",),
    "NetworkPolicy": ("/spec",),
    "PodDisruptionBudget": ("/spec",),
    "HorizontalPodAutoscaler": ("/spec",),
    "Ingress": ("/spec",),
    "HTTPRoute": ("/spec/hostnames", "/spec/parentRefs", "/spec/rules"),
    "ReferenceGrant": ("/spec",),
    "Certificate": ("/spec/dnsNames", "/spec/issuerRef"),
    "ServiceMonitor": ("/spec/endpoints", "/spec/selector"),
    "PodMonitor": ("/spec/podMetricsEndpoints", "/spec/selector"),
}
"""Parts in which everything is ours."""

OUR_ITEMS: Mapping[str, tuple[str, ...]] = {
    "Deployment": (
        "/spec/template/spec/containers",
        "/spec/template/spec/initContainers",
        "/spec/template/spec/volumes",
    ),
}
"""Lists in which an item that we render is wholly ours, and every other one somebody else's."""


def foreign(desired: Manifest, live: Live) -> list[Operation]:
    """Give the JSON patch that removes what others added, or an empty list where nothing was.

    Begins with the resourceVersion that was looked at, since its paths contain list indexes: when
    the object has changed meanwhile, the API server answers 409. To be sent after the apply: then
    it sets nothing, and its sender owns nothing by it that a later apply would not take away.
    """
    removed = [_remove(path) for path in _never(desired, live)]
    replaced = [_replace(path, ours) for path, ours, _ in _spoiled(desired, live)]
    if not removed and not replaced:
        return []
    version = live["metadata"]["resourceVersion"]
    return [_replace("/metadata/resourceVersion", version), *removed, *replaced]


def spoiled(desired: Manifest, live: Live) -> list[Path]:
    """Say to which parts others added: those that `foreign` removes or replaces."""
    removed = [tuple(path.split("/")[1:]) for path in _never(desired, live)]
    return [*removed, *(_path(path, theirs) for path, _, theirs in _spoiled(desired, live))]


def _never(desired: Manifest, live: Live) -> Iterator[str]:
    for path in NEVER.get(desired["kind"], ()):
        if _get(live, path) and _get(desired, path) is None:
            yield path


def _spoiled(desired: Manifest, live: Live) -> Iterator[tuple[str, Any, Any]]:
    for path, ours, theirs in _parts(desired, live):
        if exceeds(theirs, ours, path.rpartition("/")[2]):
            yield path, ours, theirs


def _path(pointer: str, item: Any) -> Path:
    *steps, last = pointer.split("/")[1:]
    return (*steps, {"name": item["name"]} if last.isdigit() else last)


def exceeds(live: Any, desired: Any, field: str = "") -> bool:
    """Say whether `live` has anything that `desired` has not.

    An empty text or list is nothing; an empty object is not, as in `emptyDir: {}`.
    """
    # Nearly always everything is as it should be, and that is seen without taking it apart.
    if live == desired:
        return False
    kind = type(live)
    if kind is not type(desired):
        return False
    if kind is dict:
        return _more_fields(live, desired)
    if kind is list:
        keys = MERGE_KEYS.get(field)
        return _more_items(live, desired, keys) if keys else _more_values(live, desired)
    return False


def _more_fields(live: Mapping[str, Any], desired: Mapping[str, Any]) -> bool:
    for name, value in live.items():
        if name not in desired:
            if not _is_empty(value):
                return True
        elif exceeds(value, desired[name], name):
            return True
    return False


def _more_items(live: list[Any], desired: list[Any], keys: tuple[str, ...]) -> bool:
    wanted = by_key(desired, keys)
    if len(wanted) < len(desired):
        return _more_values(live, desired)
    found = by_key(live, keys)
    return len(live) > len(found) or any(
        key not in wanted or exceeds(item, wanted[key]) for key, item in found.items()
    )


def _more_values(live: list[Any], desired: list[Any]) -> bool:
    """A list that is one value: another length is a difference, and not for us to find."""
    return len(live) == len(desired) and any(map(exceeds, live, desired))


def _parts(desired: Manifest, live: Live) -> Iterator[tuple[str, Any, Any]]:
    """Go through the parts that are wholly ours: path, as it should be, as it is."""
    kind = desired["kind"]
    for path in OURS.get(kind, ()):
        theirs = _get(live, path)
        if theirs is not None:
            yield path, _get(desired, path), theirs
    for path in OUR_ITEMS.get(kind, ()):
        ours = by_key(_get(desired, path) or (), ("name",))
        for index, item in enumerate(_get(live, path) or ()):
            if (item["name"],) in ours:
                yield f"{path}/{index}", ours[(item["name"],)], item


def _get(value: Any, path: str) -> Any:
    for step in path.split("/")[1:]:
        value = value.get(step) if type(value) is dict else None
    return value


def _is_empty(value: Any) -> bool:
    return value is None or value in ([], "")


def _remove(path: str) -> Operation:
    return {"op": "remove", "path": path}


def _replace(path: str, value: Any) -> Operation:
    return {"op": "replace", "path": path, "value": value}
