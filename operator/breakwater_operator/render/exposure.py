"""How clients from outside find a server: HTTPRoute or Ingress, and the certificate."""

from typing import Any

from breakwater_contract.names import PUBLIC_PORT, PUBLIC_PORT_NAME
from breakwater_operator.api import names
from breakwater_operator.render.intent import Intent
from breakwater_operator.render.manifest import Manifest
from breakwater_operator.render.metadata import metadata

GATEWAY_GROUP = "gateway.networking.k8s.io"

STREAMS = {
    "nginx.ingress.kubernetes.io/proxy-buffering": "off",
    "nginx.ingress.kubernetes.io/proxy-read-timeout": "86400",
    "nginx.ingress.kubernetes.io/proxy-send-timeout": "86400",
}
"""The most common controller holds events back and cuts streams after a minute unless told; others
do not read this."""


def gateway(intent: Intent) -> str | None:
    """The Gateway that leads to a server, as `namespace/name`."""
    expose = intent.server.spec.expose
    if expose is None or expose.ingress_class_name is not None or expose.in_pod:
        return None
    return expose.gateway or intent.platform.gateway


def entrance(intent: Intent) -> str | None:
    """Name what leads to a server from outside; None where only its own Service does."""
    expose = intent.server.spec.expose
    if expose is not None and expose.ingress_class_name is not None:
        return _ingress_class(expose.ingress_class_name)
    through = gateway(intent)
    return _gateway(through) if through is not None else None


def leads(live: Manifest) -> tuple[str, str] | None:
    """Name what leads to a server by an Ingress or HTTPRoute as it is, and the host for which."""
    spec, namespace = live.get("spec") or {}, live["metadata"]["namespace"]
    if live["kind"] == "Ingress":
        through = _ingress_class(str(spec.get("ingressClassName")))
        hosts = [rule.get("host") for rule in spec.get("rules") or ()]
    else:
        parent: Manifest = next(iter(spec.get("parentRefs") or ()), {})
        through = _gateway(f"{parent.get('namespace') or namespace}/{parent.get('name')}")
        hosts = spec.get("hostnames") or []
    return (through, str(hosts[0])) if hosts else None


def _ingress_class(name: str) -> str:
    return f"the Ingress class {name}"


def _gateway(name: str) -> str:
    return f"Gateway {name}"


def http_route(intent: Intent) -> Manifest | None:
    """Render the HTTPRoute, without any time-out: streams last as long as they do."""
    server, expose, through = intent.server, intent.server.spec.expose, gateway(intent)
    if expose is None or through is None:
        return None
    namespace, _, name = through.partition("/")
    parent = {"group": GATEWAY_GROUP, "kind": "Gateway", "namespace": namespace, "name": name}
    backend = {"group": "", "kind": "Service", "name": server.name, "port": PUBLIC_PORT}
    return {
        "apiVersion": f"{GATEWAY_GROUP}/v1",
        "kind": "HTTPRoute",
        "metadata": metadata(server, server.name),
        "spec": {
            "parentRefs": [parent],
            "hostnames": [expose.host],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "backendRefs": [{**backend, "weight": 1}],
                    "timeouts": {"request": "0s", "backendRequest": "0s"},
                }
            ],
        },
    }


def reference_grant(intent: Intent) -> Manifest | None:
    """Render the grant that lets a Gateway of another namespace use the certificate."""
    server, through, secret = intent.server, gateway(intent), intent.server.certificate_secret
    if through is None or secret is None:
        return None
    return {
        "apiVersion": f"{GATEWAY_GROUP}/v1beta1",
        "kind": "ReferenceGrant",
        "metadata": metadata(server, server.name),
        "spec": {
            "from": [
                {
                    "group": GATEWAY_GROUP,
                    "kind": "Gateway",
                    "namespace": through.partition("/")[0],
                }
            ],
            "to": [{"group": "", "kind": "Secret", "name": secret}],
        },
    }


def ingress(intent: Intent) -> Manifest | None:
    """Render the Ingress."""
    server, expose = intent.server, intent.server.spec.expose
    if expose is None or expose.ingress_class_name is None:
        return None
    service = {"name": server.name, "port": {"name": PUBLIC_PORT_NAME}}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": service}}
    tls = [{"hosts": [expose.host], "secretName": server.certificate_secret}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata(server, server.name, annotations=dict(STREAMS)),
        "spec": {
            "ingressClassName": expose.ingress_class_name,
            "rules": [{"host": expose.host, "http": {"paths": [path]}}],
            **({"tls": tls} if server.certificate_secret is not None else {}),
        },
    }


def certificate(intent: Intent) -> Manifest | None:
    """Render the Certificate that cert-manager makes and renews."""
    server, expose = intent.server, intent.server.spec.expose
    chosen = expose.certificate if expose is not None else None
    if expose is None or chosen is None or chosen.issuer is None:
        return None
    issuer: dict[str, Any] = {
        "group": "cert-manager.io",
        "kind": chosen.issuer_kind or "ClusterIssuer",
        "name": chosen.issuer,
    }
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": metadata(server, server.name),
        "spec": {
            "secretName": names.certificate(server.name),
            "dnsNames" if expose.address is None else "ipAddresses": [expose.host],
            "issuerRef": issuer,
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        },
    }
