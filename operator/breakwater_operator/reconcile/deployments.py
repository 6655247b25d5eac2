"""What the Deployment of a server says, in the words of passes."""

from typing import Any

from breakwater_contract.names import REVISION_LABEL
from breakwater_operator.api import names
from breakwater_operator.api.models import McpServer
from breakwater_operator.kube.kinds import AUTOSCALER, DEPLOYMENT
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.world import World, controller
from breakwater_operator.status import Pod, pods
from breakwater_operator.status.rollout import HAS_RUN, IS_LATE

Object = dict[str, Any]


def find(world: World, namespace: str, name: str) -> Object | None:
    """Get the Deployment of a server; None: it has none."""
    return world.children[DEPLOYMENT].get(namespace, names.deployment(name, names.FIRST_SLOT))


def replicas_at_birth(world: World, server: McpServer, deployment: str) -> int:
    """Say with how many pods a Deployment is made that an autoscaler is to decide about.

    Where somebody deleted one, its autoscaler still stands and knows how many the load needs.

    Args:
        world: What is known of the cluster.
        server: Whose Deployment it is.
        deployment: Its name, and its autoscaler's.
    """
    scaling = server.spec.autoscaling
    found = world.children[AUTOSCALER].get(server.namespace, deployment)
    if scaling is None or found is None or (controller(found) or {}).get("uid") != server.uid:
        return server.wanted_replicas
    decided = (found.get("status") or {}).get("desiredReplicas")
    return max(scaling.min, min(decided, scaling.max)) if decided else server.wanted_replicas


def is_complete(deployment: Object) -> bool:
    """Whether all pods of a Deployment are of its current template."""
    status, spec = deployment.get("status") or {}, deployment["spec"]
    counts = {status.get("updatedReplicas", 0), status.get("replicas", 0), spec.get("replicas", 1)}
    return _is_seen(deployment) and len(counts) == 1


def is_rolled_out(deployment: Object) -> bool:
    """Whether besides they have all been ready, as far as any are wanted."""
    is_empty = deployment["spec"].get("replicas", 1) == 0
    return is_complete(deployment) and (is_empty or _progress(deployment) == HAS_RUN)


def has_run(world: World, key: Key, revision: str, *, was_verified: bool) -> bool:
    """Whether pods of a revision are ready, or may have been; not where it is known that none was.

    A Deployment remembers that all of its pods were ready for as long as its template stays. Where
    there is none, it may have been refused, or somebody has deleted it.

    Args:
        world: What is known of the cluster.
        key: The server.
        revision: The revision.
        was_verified: Whether the server has ever been spoken with.
    """
    deployment = find(world, *key)
    if deployment is None:
        is_known = was_verified
    else:
        is_settled = deployment["spec"].get("replicas", 1) == 0 or _progress(deployment) == HAS_RUN
        is_known = is_settled and revision_of(deployment) == revision
    return is_known or any(
        pods.is_ready(Pod(one))
        for one in world.pods.together(key)
        if (one["metadata"].get("labels") or {}).get(REVISION_LABEL) == revision
    )


def is_counted_first(deployment: Object, replicas: int) -> bool:
    """Whether a Deployment needs its number of pods before it can become one that recreates them.

    Where both change in one write while several ReplicaSets want pods, its controller takes the
    write for one that scales. That it does with `Recreate` for a single ReplicaSet only
    (`kubernetes/pkg/controller/deployment/sync.go`), and so it does nothing, for ever.

    Args:
        deployment: What is there.
        replicas: How many pods it is to have.
    """
    is_rolling = deployment["spec"].get("strategy", {}).get("type") != "Recreate"
    is_counted = _is_seen(deployment) and deployment["spec"].get("replicas", 1) == replicas
    return is_rolling and not is_counted and not is_complete(deployment)


def is_late(deployment: Object) -> bool:
    """Whether the rollout of a Deployment has failed."""
    return _progress(deployment) == IS_LATE


def _is_seen(deployment: Object) -> bool:
    observed = (deployment.get("status") or {}).get("observedGeneration")
    return bool(observed == deployment["metadata"]["generation"])


def _progress(deployment: Object) -> str | None:
    conditions = (deployment.get("status") or {}).get("conditions") or ()
    return next((one.get("reason") for one in conditions if one["type"] == "Progressing"), None)


def revision_of(deployment: Object | None) -> str | None:
    """The revision that a Deployment makes pods of."""
    if deployment is None:
        return None
    labels = deployment["spec"]["template"]["metadata"].get("labels") or {}
    found: str | None = labels.get(REVISION_LABEL)
    return found
