"""What a usable cluster has besides Kubernetes itself: DNS, metrics, fake nodes, a StorageClass.

They run as processes beside the API server, not as pods: nothing has to be pulled, and they are
there before the first pod is. A Service without selector and an EndpointSlice lead to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dev.cluster import files
from dev.cluster.local import network
from dev.cluster.local.processes import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster.local.site import Site

METRICS_PORT = 4443
DNS_READY_PORT = 8181
FAKE_NODE_LABEL = "breakwater.dev/fake-node"

_PLAIN = "/api/v1/namespaces/kube-system"
_SLICES = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices"

Manifest = tuple[str, dict[str, Any]]
"""Where an object is applied, and what it looks like."""


def dns(site: Site) -> Service:
    """CoreDNS: the cluster's own names, and a plain no to all others."""
    config = site.layout.config / "Corefile"
    files.write(config, _corefile(site))
    return Service(
        name="dns", command=(site.program("dns"), "-conf", str(config), "-quiet"), reads=(config,)
    )


def metrics_server(site: Site) -> Service:
    """What `kubectl top` and HorizontalPodAutoscalers ask for usage."""
    pki, config = site.layout.pki, site.layout.client_config("addons")
    flags = {
        "kubeconfig": config,
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
        "bind-address": site.addresses.node,
        "secure-port": METRICS_PORT,
        "tls-cert-file": f"{pki}/metrics-server.crt",
        "tls-private-key-file": f"{pki}/metrics-server.key",
        "kubelet-certificate-authority": f"{pki}/ca.crt",
        "kubelet-preferred-address-types": "InternalIP",
        "kubelet-request-timeout": "5s",
        # The shortest it accepts: autoscaling tests wait for two samples.
        "metric-resolution": "10s",
        # It would ask fake nodes, too, and log that they do not answer.
        "node-selector": f"!{FAKE_NODE_LABEL}",
    }
    arguments = tuple(f"--{flag}={value}" for flag, value in flags.items())
    return Service(name="metrics-server", command=(site.program("metrics-server"), *arguments))


def kwok(site: Site) -> Service:
    """Plays the kubelet of every fake node."""
    config = site.layout.config / "kwok.yaml"
    files.write(config, network.run([site.program("stages", "kwok")]))
    flags = {
        "config": config,
        "kubeconfig": site.layout.client_config("addons"),
        "manage-all-nodes": "false",
        "manage-nodes-with-label-selector": FAKE_NODE_LABEL,
        "cidr": site.addresses.fake_pods,
        "node-ip": site.addresses.node,
        "node-lease-duration-seconds": 40,
    }
    arguments = tuple(f"--{flag}={value}" for flag, value in flags.items())
    command = (site.program("kwok"), *arguments)
    return Service(name="kwok", command=command, reads=(config,))


def manifests(site: Site) -> Iterator[Manifest]:
    """The objects that make the add-ons known to the API server."""
    yield _storage_class()
    if site.has_node:
        yield from _fronted(site, "kube-dns", str(site.addresses.dns_service), _DNS_PORTS)
        yield from _fronted(site, "metrics-server", None, _METRICS_PORTS)
        yield _metrics_api()


def fake_node(site: Site, number: int) -> dict[str, Any]:
    """A node that is not there."""
    name = f"fake-{number:04d}"
    # Beside a real node only pods that ask for it are faked.
    taint = {"key": FAKE_NODE_LABEL, "value": "true", "effect": "NoSchedule"}
    room = {"cpu": "1k", "memory": "4Ti", "pods": "2k", "ephemeral-storage": "4Ti"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                FAKE_NODE_LABEL: "true",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
            },
        },
        "spec": {"taints": [taint] if site.has_node else []},
        "status": {"capacity": room, "allocatable": room},
    }


_DNS_PORTS = [
    {"name": "dns", "protocol": "UDP", "port": 53},
    {"name": "dns-tcp", "protocol": "TCP", "port": 53},
]
_METRICS_PORTS = [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": METRICS_PORT}]


def _corefile(site: Site) -> str:
    node = site.addresses.node
    # Two zones: within one, CoreDNS would ask `template` before `kubernetes`.
    return f"""cluster.local in-addr.arpa {{
    bind {node}
    errors
    health {node}:8080 {{
        lameduck 0s
    }}
    ready {node}:{DNS_READY_PORT}
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {site.layout.client_config("addons")}
        pods insecure
        ttl 5
    }}
    loadbalance
}}
. {{
    bind {node}
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def _fronted(
    site: Site, name: str, address: str | None, ports: list[dict[str, Any]]
) -> Iterator[Manifest]:
    """A Service, and the node's address behind it."""
    meta: dict[str, Any] = {"name": name, "labels": {"kubernetes.io/name": name}}
    spec: dict[str, Any] = {"ports": ports} | ({"clusterIP": address} if address else {})
    yield (
        f"{_PLAIN}/services/{name}",
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec},
    )
    behind = [
        {"name": port["name"], "protocol": port["protocol"], "port": port.get("targetPort", 53)}
        for port in ports
    ]
    labels = {
        "kubernetes.io/service-name": name,
        "endpointslice.kubernetes.io/managed-by": "breakwater-dev-cluster",
    }
    yield (
        f"{_SLICES}/{name}",
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [str(site.addresses.node)], "conditions": {"ready": True}}],
            "ports": behind,
        },
    )


def _metrics_api() -> Manifest:
    name = "v1beta1.metrics.k8s.io"
    spec = {
        "group": "metrics.k8s.io",
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": True,
        "service": {"namespace": "kube-system", "name": "metrics-server", "port": 443},
    }
    return (
        f"/apis/apiregistration.k8s.io/v1/apiservices/{name}",
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": name},
            "spec": spec,
        },
    )


def _storage_class() -> Manifest:
    name = "local"
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    return (
        f"/apis/storage.k8s.io/v1/storageclasses/{name}",
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name, "annotations": default},
            "provisioner": "breakwater.dev/local",
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
    )
