"""The NetworkPolicy: who may reach a server's pods, and whom these may reach."""

from typing import Any

from breakwater_contract.names import INTERNAL_PORT, MANAGEMENT_PORT, PUBLIC_PORT, SERVER_LABEL
from breakwater_operator.render import destinations
from breakwater_operator.render.intent import Intent
from breakwater_operator.render.manifest import Manifest
from breakwater_operator.render.metadata import metadata
from breakwater_operator.render.peers import block, clients, own, pods, tcp

NAMESPACE_LABEL = "kubernetes.io/metadata.name"
"""Kubernetes gives each namespace this label with its name."""

OPERATOR_LABELS = {
    "app.kubernetes.io/component": "operator",
    "app.kubernetes.io/part-of": "breakwater",
}


def network_policy(intent: Intent) -> Manifest:
    """Render the NetworkPolicy, for the pods of all slots."""
    server = intent.server
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(server, server.name),
        "spec": {
            "podSelector": {"matchLabels": {SERVER_LABEL: server.name}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [_public(intent), _management(intent), _internal(intent)],
            "egress": destinations.rules(intent),
        },
    }


def _public(intent: Intent) -> dict[str, Any]:
    """Anybody: authentication guards this port, unless the manifest narrows who may connect."""
    access = intent.server.spec.access
    ports = {"ports": [tcp(PUBLIC_PORT)]}
    if not access.addresses.allow and not access.clients:
        return ports
    proxies = [block(one) for one in access.addresses.trusted_proxies]
    allowed = [
        {"ipBlock": found}
        for one in access.addresses.allow
        if (found := clients(one, access.addresses.deny)) is not None
    ]
    named = [pods(one.namespace_labels, one.pod_labels) for one in access.clients]
    gateways = [
        pods(one.namespace_labels, one.pod_labels) for one in intent.platform.network.gateways
    ]
    # An empty list would mean anybody; the server's own pods may connect anyway.
    return {"from": [*allowed, *proxies, *named, *gateways, own(intent.server)], **ports}


def _management(intent: Intent) -> dict[str, Any]:
    """Prometheus and the operator; kubelet is never held back by a policy."""
    scrapers = intent.platform.network.prometheus
    operator = pods({NAMESPACE_LABEL: intent.platform.namespace}, OPERATOR_LABELS)
    found = [pods(one.namespace_labels, one.pod_labels) for one in scrapers]
    return {"from": [operator, *found], "ports": [tcp(MANAGEMENT_PORT)]}


def _internal(intent: Intent) -> dict[str, Any]:
    """The server's own pods, which hand requests on to each other."""
    return {"from": [own(intent.server)], "ports": [tcp(INTERNAL_PORT)]}
