"""What is said of a server that somebody has deleted and something still holds."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from breakwater_operator.api.conditions import Condition, ConditionType, written
from breakwater_operator.api.reasons import Reason

GARBAGE_COLLECTORS = {"foregroundDeletion", "orphan"}
"""What the cluster itself holds an object with for as long as deleting takes."""


def holders(owner: Mapping[str, Any]) -> tuple[str, ...]:
    """Name what keeps a deleted server from going; none where nothing but the deletion does."""
    metadata = owner["metadata"]
    if not metadata.get("deletionTimestamp"):
        return ()
    return tuple(one for one in metadata.get("finalizers") or () if one not in GARBAGE_COLLECTORS)


def deleting(owner: Mapping[str, Any], held_by: Sequence[str], now: datetime) -> dict[str, Any]:
    """Write the status of a deleted server: what else was said of it stays as it was last seen."""
    previous, generation = owner.get("status") or {}, owner["metadata"].get("generation", 0)
    message = (
        "the server was deleted and nothing of it is kept right any longer; it goes once nobody "
        f"holds it by a finalizer ({', '.join(held_by)})"
    )
    news = written(
        [
            Condition(ConditionType.PROGRESSING, "True", Reason.DELETING, message),
            Condition(ConditionType.READY, "False", Reason.DELETING, message),
        ],
        generation,
        previous.get("conditions") or (),
        now,
    )
    told = {one["type"]: one for one in news}
    kept = previous.get("conditions") or ()
    conditions = [told.get(one["type"], one) for one in kept]
    return {**previous, "observedGeneration": generation, "conditions": conditions}
