"""Which pods can be asked, and for what."""

from typing import Any

from breakwater_operator.probe.prober import Target
from breakwater_operator.probe.rounds import Followed

CONTAINER = "runtime"
"""The container of ours in each pod."""


def followed(pod: dict[str, Any], server: tuple[str, str], audience: str) -> Followed | None:
    """How to follow a pod; None while its runtime does not run or once it is told to stop.

    Args:
        pod: The pod.
        server: Namespace and name of its McpServer.
        audience: The McpServer's uid.
    """
    status = pod["status"]
    running = [
        container
        for container in status.get("containerStatuses") or ()
        if container["name"] == CONTAINER and "running" in (container.get("state") or {})
    ]
    if not running or not status.get("podIP") or pod["metadata"].get("deletionTimestamp"):
        return None
    return Followed(
        target=Target(pod["metadata"]["uid"], status["podIP"], audience, server),
        restarts=running[0].get("restartCount", 0),
        is_ready=bool(running[0].get("ready")),
    )
