"""Whether the parts of a cluster do what they are for."""

from __future__ import annotations

import datetime as dt
import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.cluster.local.addons import DNS_READY_PORT
from dev.cluster.local.pki import NODE_NAME

if TYPE_CHECKING:
    from dev.cluster.api import Api
    from dev.cluster.local.addresses import Addresses
    from dev.cluster.local.processes import Process

_PROXY_HEALTH_PORT = 10256
_METRICS_API = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"


def listens(process: Process | None, port: int) -> bool:
    """Whether a port of the node's loopback, which the host cannot reach, is open.

    Args:
        process: any process of the node.
        port: the port.
    """
    try:
        lines = Path(f"/proc/{process.pid}/net/tcp").read_text().splitlines() if process else []
    except OSError:
        return False
    # Local address and state of each socket; 0A is listening.
    sockets = (line.split() for line in lines[1:])
    return any(words[1].endswith(f":{port:04X}") and words[3] == "0A" for words in sockets)


def answers(api: Api) -> bool:
    """The API server takes requests, though it may not be ready."""
    return bool(api.get("/livez/ping") == "ok")


def api_server(api: Api) -> bool:
    """The API server is ready."""
    return bool(api.get("/readyz") == "ok")


def first_service_account(api: Api) -> bool:
    """The controllers work: pods can be created in the namespace `default`."""
    return bool(api.find("/api/v1/namespaces/default/serviceaccounts/default"))


def node(api: Api, *, since: float = 0.0) -> bool:
    """The node is Ready, and said so after this moment."""
    found = api.find(f"/api/v1/nodes/{NODE_NAME}")
    condition = _condition(found, "Ready")
    heartbeat = condition.get("lastHeartbeatTime")
    if condition.get("status") != "True" or not heartbeat:
        return False
    return dt.datetime.fromisoformat(heartbeat).timestamp() >= since


def metrics(api: Api) -> bool:
    """The API server reaches metrics-server."""
    return _condition(api.find(_METRICS_API), "Available").get("status") == "True"


def dns(addresses: Addresses) -> bool:
    """CoreDNS knows the cluster's names."""
    return _ok(f"http://{addresses.node}:{DNS_READY_PORT}/ready")


def services(addresses: Addresses) -> bool:
    """kube-proxy has written its rules."""
    return _ok(f"http://{addresses.node}:{_PROXY_HEALTH_PORT}/healthz")


def _ok(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == http.client.OK)
    except OSError:
        return False


def _condition(found: Any, kind: str) -> dict[str, Any]:
    conditions = (found or {}).get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == kind), {})
