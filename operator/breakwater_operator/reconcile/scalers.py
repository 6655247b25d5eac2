"""Autoscalers of others: they scale a Deployment of ours, and we let them."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from breakwater_operator.api.models import McpServer
from breakwater_operator.api.reasons import Reason
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import AUTOSCALER, DEPLOYMENT, MCP_SERVER
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.world import controller
from breakwater_operator.status.facts import Problem

log = logging.getLogger(__name__)

Object = dict[str, Any]

ASKED_AGAIN_SECONDS = 20.0
"""Between two looks for an autoscaler that was there: nobody tells us that it is gone."""


@dataclass(frozen=True)
class Scalers:
    """Says who scales a Deployment whose number of pods the manifest says.

    Put back, each of an autoscaler's steps would start pods and stop them again. Autoscalers of
    others carry no label of ours and are not followed: they are asked for where somebody changed a
    number of pods although nobody changed the manifest.
    """

    api: KubeApi
    clock: Callable[[], float] = time.monotonic
    known: dict[Key, tuple[list[Problem], float]] = field(default_factory=dict)
    """Whom a server was told of, and when they were asked for."""

    async def look(
        self, server: McpServer, owner: Object, deployment: Object | None
    ) -> list[Problem]:
        """Name an autoscaler of others that decides how many pods a server has.

        Args:
            server: The server.
            owner: It, as the API server has it.
            deployment: Its Deployment as it was found; None: there is none.
        """
        key = server.namespace, server.name
        # Of a Deployment without pods autoscalers keep away.
        if deployment is None or server.is_autoscaled or not server.wanted_replicas:
            self.known.pop(key, None)
            return []
        found, asked_at = self.known.get(key, ([], None))
        is_due = asked_at is not None and self.clock() - asked_at >= ASKED_AGAIN_SECONDS
        is_news = not found and _is_scaled(owner, deployment, server.wanted_replicas)
        if not (is_due or is_news or _was_told(owner, asked_at)):
            return found
        try:
            autoscalers, _ = await self.api.list(AUTOSCALER, server.namespace)
        except ApiError as error:
            log.info("autoscalers were not listed", extra={"error": str(error)})
            return found
        found = _scaling(autoscalers, server, deployment["metadata"]["name"])
        if found:
            self.known[key] = found, self.clock()
        else:
            self.known.pop(key, None)
        return found

    def drop(self, key: Key) -> None:
        """Forget a server that is gone."""
        self.known.pop(key, None)


def _is_scaled(owner: Object, deployment: Object, wanted: int) -> bool:
    """Whether the number of pods differs although the manifest is the one acted upon last."""
    is_old = (owner.get("status") or {}).get("observedGeneration") == owner["metadata"].get(
        "generation"
    )
    return is_old and bool(deployment["spec"].get("replicas", 1) != wanted)


def _was_told(owner: Object, asked_at: float | None) -> bool:
    """Whether an operator before this one said that there is somebody."""
    conditions = (owner.get("status") or {}).get("conditions") or ()
    told = any(one["reason"] == Reason.REPLICAS_CONTESTED for one in conditions)
    return told and asked_at is None


def _scaling(autoscalers: Sequence[Object], server: McpServer, deployment: str) -> list[Problem]:
    for one in autoscalers:
        target, owner = one["spec"]["scaleTargetRef"], controller(one)
        is_ours = owner is not None and owner["uid"] == server.uid
        if not is_ours and (target["kind"], target["name"]) == (DEPLOYMENT.name, deployment):
            return [_contested(one["metadata"]["name"], server, deployment)]
    return []


def _contested(autoscaler: str, server: McpServer, deployment: str) -> Problem:
    return Problem(
        Reason.REPLICAS_CONTESTED,
        f"HorizontalPodAutoscaler {server.namespace}/{autoscaler} scales Deployment {deployment}, "
        "and as long as it does, spec.replicas says nothing of the number of pods; let its "
        f"scaleTargetRef name the McpServer (apiVersion: {MCP_SERVER.api_version}, kind: "
        f"{MCP_SERVER.name}, name: {server.name}), or remove it and write spec.autoscaling",
    )
