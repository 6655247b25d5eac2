"""The PodDisruptionBudget: how many pods may be missing while nodes are drained."""

from breakwater_contract.names import SERVER_LABEL
from breakwater_operator.render.intent import Intent
from breakwater_operator.render.manifest import Manifest
from breakwater_operator.render.metadata import metadata


def disruption_budget(intent: Intent) -> Manifest:
    """Render the budget of a server: one for all slots, since a pod in two is never evicted."""
    server = intent.server
    chosen = server.spec.pod.disruption
    bound = {"maxUnavailable": 1}
    if chosen is not None:
        bound = chosen.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(server, server.name),
        "spec": {
            "selector": {"matchLabels": {SERVER_LABEL: server.name}},
            # A pod that does not work must not keep a node from being drained.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            **bound,
        },
    }
