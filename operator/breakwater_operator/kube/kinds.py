"""The kinds of objects that the operator reads and writes, and where the API server has them."""

import re
from dataclasses import dataclass
from urllib.parse import quote

from breakwater_contract.names import API_GROUP


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of namespaced object."""

    api_version: str
    """Group and version, as manifests write them."""
    name: str
    """The kind, as manifests write it."""
    plural: str
    """The kind, as paths write it."""

    def path(self, namespace: str | None = None, name: str = "", part: str = "") -> str:
        """Where to ask for one object, or for all of a namespace or of the cluster.

        Args:
            namespace: The namespace; None means all of them.
            name: The object; empty means all of them.
            part: A subresource, as in `status`.
        """
        root = "api" if "/" not in self.api_version else "apis"
        pieces = [root, self.api_version]
        if namespace is not None:
            pieces += ["namespaces", _quoted(namespace)]
        pieces.append(self.plural)
        pieces += [_quoted(piece) for piece in (name, part) if piece]
        return "/" + "/".join(pieces)


_PLAIN = re.compile("[a-z0-9-]+")


def _quoted(piece: str) -> str:
    # Nearly every name is plain, and asking `quote` about each costs a tenth of a request.
    return piece if _PLAIN.fullmatch(piece) else quote(piece, safe="")


MCP_SERVER = Kind(f"{API_GROUP}/v1alpha1", "McpServer", "mcpservers")
SERVICE_ACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts")
SECRET = Kind("v1", "Secret", "secrets")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
CONTROLLER_REVISION = Kind("apps/v1", "ControllerRevision", "controllerrevisions")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
SERVICE = Kind("v1", "Service", "services")
POD = Kind("v1", "Pod", "pods")
CLAIM = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
ENDPOINT_SLICE = Kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
DISRUPTION_BUDGET = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
AUTOSCALER = Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
INGRESS = Kind("networking.k8s.io/v1", "Ingress", "ingresses")
HTTP_ROUTE = Kind("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes")
REFERENCE_GRANT = Kind("gateway.networking.k8s.io/v1beta1", "ReferenceGrant", "referencegrants")
CERTIFICATE = Kind("cert-manager.io/v1", "Certificate", "certificates")
SERVICE_MONITOR = Kind("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors")
POD_MONITOR = Kind("monitoring.coreos.com/v1", "PodMonitor", "podmonitors")
EVENT = Kind("events.k8s.io/v1", "Event", "events")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")

CHILDREN = (
    SERVICE_ACCOUNT,
    SECRET,
    CONFIG_MAP,
    CONTROLLER_REVISION,
    NETWORK_POLICY,
    DISRUPTION_BUDGET,
    DEPLOYMENT,
    AUTOSCALER,
    SERVICE,
    INGRESS,
)
"""The kinds that an McpServer's children have and every cluster knows."""

OPTIONAL = (HTTP_ROUTE, REFERENCE_GRANT, CERTIFICATE, SERVICE_MONITOR, POD_MONITOR)
"""Those that a cluster knows only where their project is installed."""

REFERENCED = (SECRET, CONFIG_MAP, CLAIM)
"""The kinds that an McpServer may name without owning them."""
