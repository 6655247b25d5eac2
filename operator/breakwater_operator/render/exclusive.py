"""What others have added where everything is ours: our containers, ports, data keys.

Server-side apply leaves fields of other managers alone, so an added variable would stay. These
patches take it away.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from breakwater_operator.render.drift import MERGE_KEYS, by_key
from breakwater_operator.render.manifest import Live, Manifest

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

VOLUMES = "/spec/template/spec/volumes"

OUR_ITEMS: Mapping[str, tuple[str, ...]] = {
    "Deployment": (
        "/spec/template/spec/containers",
        "/spec/template/spec/initContainers",
        VOLUMES,
    ),
}
"""Lists in which an item that we render is wholly ours, and every other one somebody else's."""

TOGETHER: Mapping[str, tuple[str, ...]] = {
    "Service": ("/spec/type", "/spec/ports", "/spec/selector", "/spec/sessionAffinity"),
}
"""What is put right at once with anything else: a Service with half of it is refused."""


def foreign(desired: Manifest, live: Live) -> list[Operation]:
    """Give the JSON patch that removes what others added, or an empty list where nothing was.

    Begins with the resourceVersion that was looked at, since its paths contain list indexes: when
    the object has changed meanwhile, the API server answers 409. A part with additions is replaced
    as a whole, so that no state in between is invalid (a probe that was changed from one kind to
    another has none of both). To be sent before the apply, under the same field manager.
    """
    kind = desired["kind"]
    removed = [
        _remove(path)
        for path in NEVER.get(kind, ())
        if _get(live, path) and _get(desired, path) is None
    ]
    replaced = [
        _replace(path, ours)
        for path, ours, theirs in _parts(desired, live)
        if exceeds(theirs, ours, path.rpartition("/")[2])
    ]
    if not removed and not replaced:
        return []
    together = [_replace(path, _get(desired, path)) for path in TOGETHER.get(kind, ())]
    replaced = [*_volumes(desired, live), *replaced]
    version = live["metadata"]["resourceVersion"]
    return [_replace("/metadata/resourceVersion", version), *removed, *(together or replaced)]


def disowned(live: Live, manager: str) -> list[Operation]:
    """Give the JSON patch after which a manager owns only what it applies; empty where it does.

    It fails where the entries have moved. It is not bound to a resourceVersion, since controllers
    write the object's status all the time.

    Args:
        live: The object with its managedFields.
        manager: Whose updates are forgotten.
    """
    steps: list[Operation] = []
    entries = live["metadata"].get("managedFields") or ()
    # From the end, since each removal moves those behind it.
    for index, entry in reversed([*enumerate(entries)]):
        said = entry.get("manager"), entry.get("operation"), entry.get("subresource", "")
        if said == (manager, "Update", ""):
            path = f"/metadata/managedFields/{index}"
            steps += [
                {"op": "test", "path": f"{path}/manager", "value": manager},
                {"op": "test", "path": f"{path}/operation", "value": "Update"},
                _remove(path),
            ]
    return steps


def _volumes(desired: Manifest, live: Live) -> Iterator[Operation]:
    """Add what is not there yet and a container that is put right may mount."""
    ours, theirs = _get(desired, VOLUMES) or (), _get(live, VOLUMES)
    if ours and theirs is None:
        yield _add(VOLUMES, ours)
        return
    there = by_key(theirs or (), ("name",))
    for volume in ours:
        if (volume["name"],) not in there:
            yield _add(f"{VOLUMES}/-", volume)


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


def _add(path: str, value: Any) -> Operation:
    return {"op": "add", "path": path, "value": value}


def _replace(path: str, value: Any) -> Operation:
    return {"op": "replace", "path": path, "value": value}
