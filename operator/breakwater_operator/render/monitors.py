"""By what Prometheus learns of a server's pods."""

from typing import Any

from breakwater_contract.names import (
    MANAGEMENT_PORT,
    MANAGEMENT_PORT_NAME,
    METRICS_PATH,
    SERVER_LABEL,
)
from breakwater_operator.api import names
from breakwater_operator.api.models import McpServer
from breakwater_operator.render.intent import Intent
from breakwater_operator.render.manifest import Manifest
from breakwater_operator.render.metadata import COMPONENT_LABEL, MORE_LABELS_ANNOTATION, metadata

METRICS = {COMPONENT_LABEL: "metrics"}
"""Tells the metrics Service from the one for clients."""


def metrics_service(intent: Intent) -> Manifest:
    """Render the Service behind which all pods are found, draining ones too."""
    server = intent.server
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(server, names.metrics(server.name), METRICS),
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {SERVER_LABEL: server.name},
            "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
            "ports": [
                {
                    "name": MANAGEMENT_PORT_NAME,
                    "port": MANAGEMENT_PORT,
                    "targetPort": MANAGEMENT_PORT_NAME,
                    "protocol": "TCP",
                }
            ],
        },
    }


def service_monitor(intent: Intent) -> Manifest | None:
    """Render the ServiceMonitor; None where the manifest wants another way."""
    server = intent.server
    if server.spec.monitoring.scrape != "ServiceMonitor":
        return None
    spec = {
        "selector": {"matchLabels": {SERVER_LABEL: server.name, **METRICS}},
        "endpoints": [_endpoint(server)],
    }
    return _monitor(intent, "ServiceMonitor", spec)


def pod_monitor(intent: Intent) -> Manifest | None:
    """Render the PodMonitor; None where the manifest wants another way."""
    server = intent.server
    if server.spec.monitoring.scrape != "PodMonitor":
        return None
    spec = {
        "selector": {"matchLabels": {SERVER_LABEL: server.name}},
        "podMetricsEndpoints": [_endpoint(server)],
    }
    return _monitor(intent, "PodMonitor", spec)


def _monitor(intent: Intent, kind: str, spec: dict[str, Any]) -> Manifest:
    server, labels = intent.server, intent.platform.monitoring.labels
    named = {MORE_LABELS_ANNOTATION: ",".join(sorted(labels))} if labels else None
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": kind,
        "metadata": metadata(server, server.name, dict(labels), named),
        "spec": spec,
    }


def _endpoint(server: McpServer) -> dict[str, Any]:
    return {
        "port": MANAGEMENT_PORT_NAME,
        "path": METRICS_PATH,
        "scheme": "http",
        "interval": _interval(server.spec.monitoring.scrape_interval.seconds),
        # Rules and boards know a server by this label, whatever its pods are called.
        "relabelings": [
            {"action": "replace", "targetLabel": "mcpserver", "replacement": server.name}
        ],
    }


def _interval(seconds: float) -> str:
    """Write a length of time as Prometheus reads it: without fractions."""
    return f"{int(seconds)}s" if seconds.is_integer() else f"{round(seconds * 1000)}ms"
