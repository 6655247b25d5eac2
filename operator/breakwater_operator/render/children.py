"""All children of one server."""

from breakwater_operator.api.errors import NotReadyError, SpecError
from breakwater_operator.api.reasons import Reason
from breakwater_operator.render import claims, exposure
from breakwater_operator.render.autoscaler import autoscaler
from breakwater_operator.render.controller_revision import controller_revision
from breakwater_operator.render.deployment import deployment
from breakwater_operator.render.disruption import disruption_budget
from breakwater_operator.render.intent import Intent
from breakwater_operator.render.internal_secret import internal_secret
from breakwater_operator.render.key_secret import key_secret
from breakwater_operator.render.live_objects import live_config_map, live_secret
from breakwater_operator.render.manifest import Manifest
from breakwater_operator.render.monitors import metrics_service, pod_monitor, service_monitor
from breakwater_operator.render.network_policy import network_policy
from breakwater_operator.render.service import service
from breakwater_operator.render.service_account import service_account


def children(intent: Intent) -> tuple[Manifest, ...]:
    """Render every child, in the order in which they are to be applied.

    What pods mount comes before the Deployment, so that no pod ever starts without it; the key
    comes before its copy, so that a pass that is cut short finds it again. The same intent always
    gives the same manifests.

    Raises:
        SpecError: The spec asks something of the cluster's objects that they cannot give.
    """
    if faults := claims.faults(intent.server, intent.claims):
        raise SpecError(faults)
    always = (
        service_account(intent),
        key_secret(intent),
        live_secret(intent),
        internal_secret(intent),
        live_config_map(intent),
        controller_revision(intent),
        network_policy(intent),
        disruption_budget(intent),
        service(intent),
        metrics_service(intent),
        deployment(intent),
        autoscaler(intent),
        exposure.ingress(intent),
    )
    known = (manifest for manifest in optional(intent) if manifest["kind"] in intent.kinds)
    return (*(manifest for manifest in always if manifest is not None), *known)


def optional(intent: Intent) -> tuple[Manifest, ...]:
    """Render the children of kinds that not every cluster knows, as if this one knew them."""
    rendered = (
        exposure.http_route(intent),
        exposure.certificate(intent),
        exposure.reference_grant(intent),
        service_monitor(intent),
        pod_monitor(intent),
    )
    return tuple(manifest for manifest in rendered if manifest is not None)


NEEDED = ("HTTPRoute", "Certificate", "ReferenceGrant")
"""Without these a server is not reached as its manifest says; monitors are an addition."""


def missing(intent: Intent) -> tuple[NotReadyError, ...]:
    """Say what a manifest asks for that the cluster does not know how to be."""
    kinds = [manifest["kind"] for manifest in optional(intent)]
    return tuple(
        NotReadyError(
            Reason.KIND_MISSING,
            f"spec.expose needs {kind}, which this cluster does not know; install "
            f"{'cert-manager' if kind == 'Certificate' else 'the Gateway API'}, or expose the "
            "server another way",
        )
        for kind in NEEDED
        if kind in kinds and kind not in intent.kinds
    )
