"""Where pods run, as a pod template says it."""

from typing import Any

from breakwater_contract.names import SERVER_LABEL
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.placement import NodeRequirement, Placement, Spread

DEFAULT_SPREAD = (
    Spread(topology_key="kubernetes.io/hostname"),
    Spread(topology_key="topology.kubernetes.io/zone"),
)
"""One node or zone that fails should not take a server with it; as far as possible, so that small
clusters take every pod."""


def placement(server: McpServer) -> dict[str, Any]:
    """Render the fields of a pod's spec that say where it runs."""
    chosen = server.spec.pod.placement
    found = {
        "nodeSelector": dict(chosen.node_selector),
        "affinity": _affinity(chosen),
        "tolerations": [
            one.model_dump(mode="json", by_alias=True, exclude_none=True)
            for one in chosen.tolerations
        ],
        "topologySpreadConstraints": [
            {
                "topologyKey": one.topology_key,
                "maxSkew": one.max_skew,
                "whenUnsatisfiable": one.when_unsatisfiable,
                "labelSelector": {"matchLabels": {SERVER_LABEL: server.name}},
            }
            for one in chosen.topology_spread or DEFAULT_SPREAD
        ],
        "priorityClassName": chosen.priority_class_name,
    }
    return {field: value for field, value in found.items() if value}


def _affinity(chosen: Placement) -> dict[str, Any]:
    node: dict[str, Any] = {}
    if chosen.required_nodes:
        term = {"matchExpressions": [_expression(one) for one in chosen.required_nodes]}
        node["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": [term]}
    if chosen.preferred_nodes:
        node["preferredDuringSchedulingIgnoredDuringExecution"] = [
            {"weight": one.weight, "preference": {"matchExpressions": [_expression(one)]}}
            for one in chosen.preferred_nodes
        ]
    return {"nodeAffinity": node} if node else {}


def _expression(wanted: NodeRequirement) -> dict[str, Any]:
    values = list(wanted.values)
    return {
        "key": wanted.key,
        "operator": wanted.operator,
        **({"values": values} if values else {}),
    }
