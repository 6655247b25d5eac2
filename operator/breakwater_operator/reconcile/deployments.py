"""What the Deployment of a server says, in the words of passes."""

from typing import Any

from breakwater_contract.names import REVISION_LABEL
from breakwater_operator.api import names
from breakwater_operator.kube.kinds import DEPLOYMENT
from breakwater_operator.reconcile.world import World

Object = dict[str, Any]


def find(world: World, namespace: str, name: str) -> Object | None:
    """Get the Deployment of a server; None: it has none."""
    return world.children[DEPLOYMENT].get(namespace, names.deployment(name, names.FIRST_SLOT))


def is_complete(deployment: Object) -> bool:
    """Whether all pods of a Deployment are of its current template."""
    status, spec = deployment.get("status") or {}, deployment["spec"]
    is_seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
    counts = {status.get("updatedReplicas", 0), status.get("replicas", 0), spec.get("replicas", 1)}
    return is_seen and len(counts) == 1


def revision_of(deployment: Object | None) -> str | None:
    """The revision that a Deployment makes pods of."""
    if deployment is None:
        return None
    labels = deployment["spec"]["template"]["metadata"].get("labels") or {}
    found: str | None = labels.get(REVISION_LABEL)
    return found
