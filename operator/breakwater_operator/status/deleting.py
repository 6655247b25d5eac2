"""What is said of a server that somebody has deleted and something still holds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from breakwater_operator.api.conditions import Condition, ConditionType, written
from breakwater_operator.api.reasons import Reason

Object = Mapping[str, Any]

FOREGROUND = "foregroundDeletion"
GARBAGE_COLLECTORS = {FOREGROUND, "orphan"}
"""What the cluster itself holds an object with for as long as deleting takes."""


HELD_SECONDS = 10.0
"""How long a child may be held before that is told: whoever cleans up after one takes a while."""


@dataclass(frozen=True)
class Holders:
    """What keeps a deleted server from going; nothing where only the deletion itself does."""

    named: tuple[str, ...] = ()
    """The finalizers, each with the child that it is on."""
    due_seconds: float | None = None
    """In how long there may be more of them, though nothing changes."""


def is_waiting(owner: Object) -> bool:
    """Whether a deleted server waits until its children are gone."""
    metadata = owner["metadata"]
    return bool(metadata.get("deletionTimestamp")) and FOREGROUND in _finalizers(owner)


def holders(owner: Object, children: Iterable[tuple[str, Object]], now: datetime) -> Holders:
    """Name what keeps a deleted server from going.

    Args:
        owner: The server.
        children: What it waits for, each with its kind.
        now: The time.
    """
    if not owner["metadata"].get("deletionTimestamp"):
        return Holders()
    named, due = _foreign(owner), []
    for kind, child in children:
        metadata = child["metadata"]
        found = _foreign(child) if metadata.get("deletionTimestamp") else []
        if not found:
            continue
        since = now - datetime.fromisoformat(metadata["deletionTimestamp"])
        if (wait := HELD_SECONDS - since.total_seconds()) > 0:
            due.append(wait)
        else:
            named += [f"{one} on {kind} {metadata['name']}" for one in found]
    return Holders(tuple(named), min(due, default=None))


def _foreign(live: Object) -> list[str]:
    return [one for one in _finalizers(live) if one not in GARBAGE_COLLECTORS]


def _finalizers(live: Object) -> Sequence[str]:
    return live["metadata"].get("finalizers") or ()


def deleting(owner: Object, held_by: Sequence[str], now: datetime) -> dict[str, Any]:
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
