"""Events: what changed about a server, for people who look at its history."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from breakwater_operator.api.reasons import Reason
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import EVENT

log = logging.getLogger(__name__)

COMPONENT = "breakwater-operator"
NOTE_MAX = 1024
"""Characters of a note that the API server accepts."""

WANTED: Mapping[str, str] = {
    "Accepted": "True",
    "Verified": "True",
    "Degraded": "False",
    "Ready": "True",
}
"""The conditions that are told of, and the status that is good news. The others change with every
rollout and say nothing that these do not."""

FIRST = {("Accepted", "False"), ("Degraded", "True"), ("Ready", "True")}
"""What is news of a server that nothing was known of: that it is not ready yet goes without
saying, and so does that nothing is wrong."""

LACKS = {
    Reason.CERTIFICATE_WRONG,
    Reason.CLAIM_MISSING,
    Reason.KEY_SECRET_EMPTY,
    Reason.KEY_SECRET_MISSING,
    Reason.KIND_MISSING,
    Reason.RATES_SECRET_MISSING,
    Reason.SOURCE_MISSING,
}
"""What somebody has to make before a server goes on: told also of one that was not ready before.

A missing certificate is not among them: each that cert-manager makes is missing at first.
"""

ROLLOUT = ("Ready", Reason.ROLLING_OUT)
"""A server that is not ready while a change of its user's own is rolled out is no news, and neither
is that it was."""


@dataclass(frozen=True)
class News:
    """One thing that happened."""

    is_good: bool
    reason: str
    note: str


def transitions(
    earlier: Iterable[Mapping[str, Any]], now: Iterable[Mapping[str, Any]]
) -> list[News]:
    """Say which conditions turned good or bad."""
    old = {condition["type"]: condition for condition in earlier}
    news = []
    for condition in now:
        kind, status = condition["type"], condition["status"]
        reason, before = condition["reason"], old.get(kind, {}).get("reason")
        was = old.get(kind, {"status": "Unknown"})["status"]
        has_come_to_lack = kind == "Ready" and reason in LACKS and reason != before
        if ROLLOUT in {(kind, reason), (kind, before)} and not has_come_to_lack:
            continue
        is_told = kind in WANTED and status not in {was, "Unknown"}
        if has_come_to_lack or (is_told and (was != "Unknown" or (kind, status) in FIRST)):
            note = f"{kind}: {condition['message']}"
            news.append(News(status == WANTED[kind], reason, note))
    return news


class Events:
    """Posts events beside the passes; one that cannot be posted is only logged."""

    def __init__(self, api: KubeApi, instance: str, now: Callable[[], datetime]) -> None:
        """Post nothing yet.

        Args:
            api: Where to post.
            instance: Which operator says so.
            now: The time, with its zone.
        """
        self._api = api
        self._instance = instance
        self._now = now
        self._tasks: set[asyncio.Task[None]] = set()

    def post(self, server: Mapping[str, Any], news: Iterable[News]) -> None:
        """Post events about a server, without waiting for it."""
        for one in news:
            task = asyncio.create_task(self._post(server, one))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for what is being posted."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _post(self, server: Mapping[str, Any], one: News) -> None:
        metadata = server["metadata"]
        event = {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.name,
            "metadata": {
                "namespace": metadata["namespace"],
                "generateName": f"{metadata['name']}-",
            },
            "eventTime": self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": "Normal" if one.is_good else "Warning",
            "reason": one.reason,
            "action": "Reconcile",
            "note": one.note[:NOTE_MAX],
            "reportingController": COMPONENT,
            "reportingInstance": self._instance,
            "regarding": {
                "apiVersion": server["apiVersion"],
                "kind": server["kind"],
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
            },
        }
        try:
            await self._api.create(EVENT, event, manager=COMPONENT)
        except ApiError as error:
            log.info("event was not posted", extra={"reason": one.reason, "error": str(error)})
