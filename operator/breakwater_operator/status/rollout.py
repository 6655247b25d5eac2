"""How far a Deployment is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from breakwater_contract.names import REVISION_LABEL
from breakwater_operator.status.facts import Facts, once

HAS_RUN = "NewReplicaSetAvailable"
"""What a Deployment says of itself once all pods of its template have been ready."""

IS_LATE = "ProgressDeadlineExceeded"
"""What it says where its controller has given up waiting for them."""

NO_REPLICA_SET = "ReplicaSetCreateError"
"""What a Deployment says of itself where not even its ReplicaSet can be made."""


@dataclass(frozen=True)
class Rollout:
    """The numbers of a Deployment, and what its controller says of them."""

    wanted: int
    needed: int = 0
    """How many ready pods serve clients as the manifest says: of those that load decides upon, the
    least. The others come and go with it, and their coming takes a while each time."""
    total: int = 0
    """Pods that exist, of whatever revision."""
    updated: int = 0
    """Pods of the current revision."""
    ready: int = 0
    is_newest: bool = False
    """Whether the Deployment makes pods of the current revision."""
    is_seen: bool = False
    """Whether the numbers are about the Deployment as it is now."""
    is_settled: bool = False
    """Whether its controller has said that all pods of it have been ready."""
    is_late: bool = False
    """Whether its controller has given up waiting."""
    refusal: str | None = None
    """Why its pods cannot be made."""

    @property
    def is_current(self) -> bool:
        """Whether the numbers are about the Deployment as it is now, and that of this revision."""
        return self.is_newest and self.is_seen

    @property
    def is_complete(self) -> bool:
        """Whether nothing is under way."""
        reached = self.wanted == self.total == self.updated
        return self.is_current and reached and (self.is_settled or self.wanted == 0)


@once
def rollout(facts: Facts) -> Rollout:
    """Read the Deployment of a server; without one nothing has begun."""
    deployment = facts.deployment
    if deployment is None:
        wanted = _wanted(facts, 0)
        return Rollout(wanted, _needed(facts, wanted))
    status = deployment.get("status") or {}
    conditions = {item["type"]: item for item in status.get("conditions") or ()}
    progressing = conditions.get("Progressing", {})
    wanted = _wanted(facts, deployment["spec"].get("replicas", 1))
    return Rollout(
        wanted=wanted,
        needed=_needed(facts, wanted),
        total=status.get("replicas", 0),
        updated=status.get("updatedReplicas", 0),
        ready=status.get("readyReplicas", 0),
        is_newest=_revision(deployment) == facts.revision,
        is_seen=_is_seen(deployment, status),
        is_settled=progressing.get("reason") == HAS_RUN,
        is_late=progressing.get("reason") == IS_LATE,
        refusal=_refusal(progressing, conditions.get("ReplicaFailure", {})),
    )


def _refusal(progressing: Mapping[str, Any], failure: Mapping[str, Any]) -> str | None:
    if progressing.get("reason") == NO_REPLICA_SET:
        return progressing.get("message")
    return failure.get("message") if failure.get("status") == "True" else None


def _wanted(facts: Facts, otherwise: int) -> int:
    # Where load decides, what the Deployment says is what is wanted.
    if facts.server is None or (facts.server.is_autoscaled and facts.deployment is not None):
        return otherwise
    return facts.server.wanted_replicas


def _needed(facts: Facts, wanted: int) -> int:
    server = facts.server
    scaling = server.spec.autoscaling if server is not None and server.is_autoscaled else None
    return wanted if scaling is None else scaling.min


def _revision(deployment: Mapping[str, Any]) -> str | None:
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    found: str | None = labels.get(REVISION_LABEL)
    return found


def _is_seen(deployment: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    return bool(status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0))
