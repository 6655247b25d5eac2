"""What is kept of objects in memory: what a pass looks at, and no more."""

from typing import Any

from breakwater_contract.names import LIVE_ANNOTATION

Object = dict[str, Any]

_ANNOTATIONS = (LIVE_ANNOTATION,)
_IDENTITY = ("namespace", "name", "uid", "resourceVersion")
_CONDITION = ("type", "status", "reason", "message")
_DEPLOYMENT_STATUS = ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas")
_POD_STATUS = ("phase", "podIP", "initContainerStatuses", "containerStatuses")
_OWNED_METADATA = (*_IDENTITY, "labels", "deletionTimestamp", "ownerReferences")
_POD_METADATA = (*_OWNED_METADATA, "creationTimestamp", "finalizers")


def without_managers(live: Object) -> Object:
    """Keep all but by whom fields were written: that is half of an object.

    Children are kept so: they are compared field by field.
    """
    metadata = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    return live | {"metadata": metadata}


def identity(live: Object) -> Object:
    """Keep what tells one state of an object from another."""
    return {"metadata": {key: live["metadata"][key] for key in _IDENTITY}}


def deployment(live: Object) -> Object:
    """Keep a Deployment, and of its status how far it is.

    The rest of that changes with every pod and is looked at by nobody.
    """
    kept = without_managers(live)
    return kept | {"status": _status(live, _DEPLOYMENT_STATUS)} if "status" in live else kept


def pod(live: Object) -> Object:
    """Keep a pod's identity, our annotations and of its status what tells how it is.

    Its spec is the Deployment's.
    """
    metadata = {key: live["metadata"][key] for key in _POD_METADATA if key in live["metadata"]}
    annotations = live["metadata"].get("annotations") or {}
    metadata["annotations"] = {
        key: value for key, value in annotations.items() if key in _ANNOTATIONS
    }
    return {"metadata": metadata, "status": _status(live, _POD_STATUS)}


def endpoint_slice(live: Object) -> Object:
    """Keep whose it is and how many endpoints are ready.

    An endpoint without the condition is ready: the API says so.
    """
    metadata = {key: live["metadata"][key] for key in _OWNED_METADATA if key in live["metadata"]}
    states = [endpoint.get("conditions") or {} for endpoint in live.get("endpoints") or ()]
    return {"metadata": metadata, "ready": sum(state.get("ready", True) for state in states)}


def _status(live: Object, names: tuple[str, ...]) -> Object:
    found = live.get("status") or {}
    kept = {name: found[name] for name in names if name in found}
    if "conditions" in found:
        kept["conditions"] = [
            {name: one[name] for name in _CONDITION if name in one} for one in found["conditions"]
        ]
    return kept
