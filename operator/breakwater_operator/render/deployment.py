"""The Deployment of one slot."""

from typing import Any

from breakwater_contract.names import SLOT_LABEL
from breakwater_operator.api import names
from breakwater_operator.render.claims import shareable
from breakwater_operator.render.intent import Intent
from breakwater_operator.render.manifest import Manifest
from breakwater_operator.render.metadata import metadata

OLD_REPLICA_SETS = 2
"""Kept for whoever looks at what ran before; what it was is in the ControllerRevisions."""

PROGRESS_DEADLINE_SECONDS = 600


def deployment(intent: Intent) -> Manifest:
    """Render the Deployment from the template that its revision keeps."""
    name, slot = intent.server.name, intent.slot
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(intent.server, names.deployment(name, slot), {SLOT_LABEL: slot}),
        "spec": {
            # Where load decides, the number is the autoscaler's and not ours.
            **({} if intent.server.is_autoscaled else {"replicas": intent.server.wanted_replicas}),
            "revisionHistoryLimit": OLD_REPLICA_SETS,
            "progressDeadlineSeconds": PROGRESS_DEADLINE_SECONDS,
            "selector": {"matchLabels": names.slot_labels(name, slot)},
            "strategy": _strategy(intent),
            "template": _in_slot(intent.revision.template, slot),
        },
    }


def _strategy(intent: Intent) -> dict[str, Any]:
    # A claim that only one pod can mount would keep the new pod waiting for the old one for ever.
    if not shareable(intent.revision.template, intent.claims):
        return {"type": "Recreate"}
    return {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}}


def _in_slot(template: Any, slot: str) -> dict[str, Any]:
    labels = {**template["metadata"]["labels"], SLOT_LABEL: slot}
    return {**template, "metadata": {**template["metadata"], "labels": labels}}
