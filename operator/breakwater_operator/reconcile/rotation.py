"""When the next step of a rotation may be taken: once every pod says that it has the last one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from breakwater_operator.render import Intent, live, ring
from breakwater_operator.status import Probe

Object = dict[str, Any]

ENDED = ("Succeeded", "Failed")


def turned(
    intent: Intent,
    pods: Sequence[Object],
    probes: Mapping[str, Probe],
    now: datetime,
    fresh: bytes,
) -> Intent:
    """Take the next step of the ring that pods have now, if its time has come.

    Args:
        intent: The server with the ring as it is stored.
        pods: All its pods, those that drain too: their volumes do not change any more, and a ring
            that they cannot open would cut them off from their sessions.
        probes: What is known of each pod, by its uid.
        now: The time.
        fresh: Random bytes.
    """
    if not ring.is_due(intent.ring, now):
        return intent
    wanted = live.wanted(intent)
    living = [pod for pod in pods if pod["status"].get("phase") not in ENDED]
    is_loaded = all(_has(pod, probes, wanted) for pod in living)
    next_ring = ring.advanced(intent.ring, intent.server, now, fresh, is_loaded=is_loaded)
    return replace(intent, ring=next_ring)


def _has(pod: Object, probes: Mapping[str, Probe], wanted: str) -> bool:
    probe = probes.get(pod["metadata"]["uid"])
    is_ending = "deletionTimestamp" in pod["metadata"]
    return not is_ending and probe is not None and probe.live == wanted
