"""What is kept of objects in memory: what a pass looks at, and no more."""

from typing import Any

from breakwater_contract.names import LIVE_ANNOTATION
from breakwater_operator.api.names import MANAGER

Object = dict[str, Any]

_ANNOTATIONS = (LIVE_ANNOTATION,)
_IDENTITY = ("namespace", "name", "uid", "resourceVersion")
_POD_METADATA = (*_IDENTITY, "labels", "deletionTimestamp", "creationTimestamp", "ownerReferences")


def child(live: Object) -> Object:
    """Keep a child whole: it is compared field by field.

    By whom its fields belong to is asked of Deployments, and of our own fields only.
    """
    if live["kind"] != "Deployment":
        return without_managers(live)
    entries = live["metadata"].get("managedFields") or ()
    ours = [entry for entry in entries if entry.get("manager") == MANAGER]
    return live | {"metadata": live["metadata"] | {"managedFields": ours}}


def without_managers(live: Object) -> Object:
    """Keep all but by whom fields were written: that is half of an object."""
    metadata = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    return live | {"metadata": metadata}


def identity(live: Object) -> Object:
    """Keep what tells one state of an object from another."""
    return {"metadata": {key: live["metadata"][key] for key in _IDENTITY}}


def pod(live: Object) -> Object:
    """Keep a pod's identity, our annotations and its status; its spec is the Deployment's."""
    metadata = {key: live["metadata"][key] for key in _POD_METADATA if key in live["metadata"]}
    annotations = live["metadata"].get("annotations") or {}
    metadata["annotations"] = {
        key: value for key, value in annotations.items() if key in _ANNOTATIONS
    }
    return {"metadata": metadata, "status": live.get("status") or {}}


def endpoint_slice(live: Object) -> Object:
    """Keep how many endpoints are ready.

    An endpoint without the condition is ready: the API says so.
    """
    metadata = {key: live["metadata"][key] for key in (*_IDENTITY, "labels")}
    states = [endpoint.get("conditions") or {} for endpoint in live.get("endpoints") or ()]
    return {"metadata": metadata, "ready": sum(state.get("ready", True) for state in states)}
