"""The HorizontalPodAutoscaler: how many pods there are, by load."""

from typing import Any

from breakwater_contract.names import SLOT_LABEL
from breakwater_operator.api import names
from breakwater_operator.api.scaling import Autoscaling, Pace
from breakwater_operator.render.intent import Intent
from breakwater_operator.render.manifest import Manifest
from breakwater_operator.render.metadata import metadata

DEFAULT_TARGETS = {"cpu": 70, "memory": 80}

Policy = dict[str, Any]

UP: list[Policy] = [
    {"type": "Pods", "value": 4, "periodSeconds": 15},
    {"type": "Percent", "value": 100, "periodSeconds": 15},
]
DOWN: list[Policy] = [{"type": "Percent", "value": 100, "periodSeconds": 15}]
UP_SECONDS, DOWN_SECONDS = 0, 300
"""For how long the past counts. These are Kubernetes' own defaults, written out so that a later
version of it changes no server."""


def autoscaler(intent: Intent) -> Manifest | None:
    """Render the autoscaler of a slot; None where load decides nothing."""
    server = intent.server
    scaling = server.spec.autoscaling
    if scaling is None or not server.is_autoscaled:
        return None
    name = names.deployment(server.name, intent.slot)
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(server, name, {SLOT_LABEL: intent.slot}),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": scaling.min,
            "maxReplicas": scaling.max,
            "metrics": [_metric(kind, target) for kind, target in _targets(scaling).items()],
            "behavior": {
                "scaleUp": _behavior(scaling.scale_up, UP, UP_SECONDS),
                "scaleDown": _behavior(scaling.scale_down, DOWN, DOWN_SECONDS),
            },
        },
    }


def _targets(scaling: Autoscaling) -> dict[str, int]:
    chosen = {"cpu": scaling.cpu, "memory": scaling.memory}
    return {kind: value for kind, value in chosen.items() if value is not None} or DEFAULT_TARGETS


def _metric(resource: str, percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": resource, "target": target}}


def _behavior(pace: Pace | None, policies: list[Policy], seconds: int) -> dict[str, Any]:
    if pace is not None:
        steps = {"Pods": pace.pods, "Percent": pace.percent}
        policies = [
            {"type": kind, "value": value, "periodSeconds": int(pace.period.seconds)}
            for kind, value in steps.items()
            if value is not None
        ]
        seconds = seconds if pace.stabilization is None else int(pace.stabilization.seconds)
    return {
        "stabilizationWindowSeconds": seconds,
        "selectPolicy": "Max",
        "policies": policies,
    }
