"""Conditions as Kubernetes writes them, and the six that every McpServer has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from breakwater_operator.api.explained import Explained
from breakwater_operator.api.reasons import Reason

Status = Literal["True", "False", "Unknown"]

MESSAGE_MAX = 4096
"""Characters of a message that are kept; kubectl shows no more in any useful way."""


class ConditionType(Explained):
    """The conditions of an McpServer; `meaning` is their line in the reference."""

    ACCEPTED = ("Accepted", "The manifest is valid and acted upon.")
    AVAILABLE = (
        "Available",
        "As many pods are ready as are wanted; where load decides, as `spec.autoscaling.min` says.",
    )
    VERIFIED = ("Verified", "The operator has spoken MCP with the server.")
    PROGRESSING = ("Progressing", "A change is under way, or waits for something.")
    DEGRADED = ("Degraded", "Something is wrong that does not go away by waiting.")
    READY = ("Ready", "Clients are served as the manifest says: the sum of the others.")


@dataclass(frozen=True)
class Condition:
    """What is true about one aspect of an McpServer, and why."""

    type: ConditionType
    status: Status
    reason: Reason
    message: str


def timestamp(moment: datetime) -> str:
    """Write a moment, which must know its zone, as Kubernetes does: `2026-01-31T08:00:00Z`."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").removesuffix("+00:00") + "Z"


def written(
    conditions: Iterable[Condition],
    generation: int,
    previous: Iterable[Mapping[str, Any]],
    now: datetime,
) -> list[dict[str, Any]]:
    """Give conditions the shape they have in the status.

    `lastTransitionTime` moves only when the status of a condition does.
    """
    before = {condition["type"]: condition for condition in previous}
    return [
        {
            "type": condition.type.value,
            "status": condition.status,
            "reason": condition.reason.value,
            "message": condition.message[:MESSAGE_MAX],
            "observedGeneration": generation,
            "lastTransitionTime": _since(condition, before.get(condition.type.value), now),
        }
        for condition in conditions
    ]


def _since(condition: Condition, before: Mapping[str, Any] | None, now: datetime) -> str:
    if before is None or before.get("status") != condition.status:
        return timestamp(now)
    since: str = before["lastTransitionTime"]
    return since
