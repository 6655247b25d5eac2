"""What a change of each leaf of the spec does. A test holds every leaf to it."""

from collections.abc import Mapping
from enum import Enum
from typing import Any


class Effect(Enum):
    """What follows when a leaf changes."""

    REVISION = "a new revision: the pods are replaced"
    LIVE = "running pods take it over within seconds"
    CHILDREN = "child objects change; running pods are left alone"


EFFECTS: Mapping[str, Effect] = {
    "backends": Effect.REVISION,
    "backends.tools": Effect.LIVE,
    "gateway": Effect.REVISION,
    "access": Effect.LIVE,
    "endpoints": Effect.LIVE,
    "limits": Effect.LIVE,
    "limits.sessions.drain": Effect.REVISION,
    "runtime": Effect.REVISION,
    "pod": Effect.REVISION,
    "access.clients": Effect.CHILDREN,
    "access.keys.retain": Effect.CHILDREN,
    "pod.disruption": Effect.CHILDREN,
    "expose": Effect.CHILDREN,
    "expose.host": Effect.LIVE,
    "expose.certificate.secretName": Effect.LIVE,
    "expose.certificate.minVersion": Effect.REVISION,
    "egress": Effect.CHILDREN,
    "egressRules": Effect.CHILDREN,
    "monitoring": Effect.LIVE,
    "monitoring.scrape": Effect.CHILDREN,
    "monitoring.scrapeInterval": Effect.CHILDREN,
    "operatorClass": Effect.CHILDREN,
    "replicas": Effect.CHILDREN,
    "autoscaling": Effect.CHILDREN,
    "suspend": Effect.CHILDREN,
    "upgradePolicy": Effect.CHILDREN,
}
"""By path in the spec, without list indexes; the longest path that leads to a leaf counts."""


def effect(path: str) -> Effect:
    """Say what a change of the leaf at a path does.

    Args:
        path: As in `backends.python.env.value`.

    Raises:
        KeyError: Nobody has decided it.
    """
    while path not in EFFECTS:
        if "." not in path:
            raise KeyError(path)
        path = path.rpartition(".")[0]
    return EFFECTS[path]


def select(spec: Any, wanted: Effect, path: str = "") -> Any:
    """Keep the leaves of a spec, given as JSON, whose change has one effect; None: there are none.

    An object that was empty before stays: as in `emptyDir: {}`, it says something.
    """
    # Asking for a Mapping is slow.
    if type(spec) is dict and spec:
        kept = {key: select(value, wanted, _join(path, key)) for key, value in spec.items()}
        return {key: value for key, value in kept.items() if value is not None} or None
    if isinstance(spec, list):
        kept_items = [select(item, wanted, path) for item in spec]
        return [item for item in kept_items if item is not None] or None
    return spec if effect(path) is wanted else None


def _join(path: str, step: str) -> str:
    return f"{path}.{step}" if path else step
