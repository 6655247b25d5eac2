"""The node: containerd, kubelet and kube-proxy, and their configuration files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.cluster import files
from dev.cluster.local.pki import NODE_NAME
from dev.cluster.local.processes import Service

if TYPE_CHECKING:
    from dev.cluster.local.site import Site

PAUSE_IMAGE = "breakwater.local/pause:1"
"""Holds a pod's namespaces; made here, since no registry may be reachable."""

PODS_MAX = 250


def containerd(site: Site) -> Service:
    """The container runtime; everything of it lies in the cluster's own folders."""
    config = site.layout.config / "containerd.toml"
    _write_pod_network(site)
    files.write(config, _containerd_config(site))
    return Service(
        name="containerd",
        command=(site.program("containerd"), f"--config={config}"),
        # It looks for its shim in PATH.
        environment={"PATH": f"{site.folders['containerd']}:{_PATH}"},
        reads=(config,),
    )


def kubelet(site: Site) -> Service:
    """The node agent."""
    config = site.layout.config / "kubelet.json"
    files.write(config, json.dumps(_kubelet_config(site), indent=1))
    flags = {
        "kubeconfig": site.layout.client_config("kubelet"),
        "config": config,
        "root-dir": site.layout.kubelet_root,
        "cert-dir": site.layout.kubelet_root / "pki",
        "hostname-override": NODE_NAME,
        "node-ip": site.addresses.node,
    }
    return _service("kubelet", site, flags, config)


def kube_proxy(site: Site) -> Service:
    """What makes Services work."""
    config = site.layout.config / "kube-proxy.json"
    files.write(config, json.dumps(_kube_proxy_config(site), indent=1))
    return _service("kube-proxy", site, {"config": config}, config)


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _service(name: str, site: Site, flags: dict[str, Any], config: Path) -> Service:
    arguments = tuple(f"--{flag}={value}" for flag, value in flags.items())
    return Service(name=name, command=(*site.kube(name), *arguments), reads=(config,))


def _containerd_config(site: Site) -> str:
    layout = site.layout
    # Overlay mounts cannot be stacked on an overlay (this machine may be a container itself).
    snapshotter = "native" if _is_overlay(layout.state) else "overlayfs"
    return f"""version = 3
root = "{layout.state}/containerd"
state = "{layout.run}/containerd"
disabled_plugins = [
  "io.containerd.nri.v1.nri",
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.tracing",
]

[grpc]
address = "{layout.containerd_socket}"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "{snapshotter}"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE_IMAGE}"

[plugins."io.containerd.cri.v1.runtime"]
# Without CAP_SYS_RESOURCE nobody may lower a score, and runc then fails with an unrelated error.
restrict_oom_score_adj = true
max_container_log_line_size = 262144
# The pods' network namespaces lie with the rest, so that `down` finds all of them.
netns_mounts_under_state_dir = true
use_internal_loopback = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{site.cni_plugins}"]
conf_dir = "{layout.config}/cni"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
Root = "{layout.run}/runc"
"""


def _write_pod_network(site: Site) -> None:
    # ptp rather than bridge: each packet is routed, so kube-proxy sees all of them and the
    # kernel's br_netfilter module is not needed.
    network = {
        "cniVersion": "1.0.0",
        "name": site.layout.namespace,
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": str(site.addresses.pods)}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": str(site.layout.pod_addresses),
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }
    files.write(site.layout.config / "cni/10-pods.conflist", json.dumps(network, indent=1))


def _kubelet_config(site: Site) -> dict[str, Any]:
    layout = site.layout
    resolv = layout.config / "resolv.conf"
    files.write(resolv, f"nameserver {site.addresses.dns_service}\n")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "tlsCertFile": f"{layout.pki}/kubelet.crt",
        "tlsPrivateKeyFile": f"{layout.pki}/kubelet.key",
        "authentication": {
            "anonymous": {"enabled": False},
            "x509": {"clientCAFile": f"{layout.pki}/ca.crt"},
            "webhook": {"enabled": True},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [str(site.addresses.dns_service)],
        "clusterDomain": "cluster.local",
        "resolvConf": str(resolv),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.namespace}",
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "maxPods": PODS_MAX,
        # How soon a changed ConfigMap or Secret is seen in a pod; users' clusters take a minute.
        "syncFrequency": "5s",
        "nodeStatusUpdateFrequency": "4s",
        "podLogsDir": str(layout.pod_logs),
        "volumePluginDir": f"{layout.kubelet_root}/volume-plugins",
        "staticPodPath": "",
        "containerLogMaxSize": "10Mi",
        "containerLogMaxFiles": 2,
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        # Images are loaded by hand: nothing could fetch them again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
    }


def _kube_proxy_config(site: Site) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": str(site.addresses.pods),
        "hostnameOverride": NODE_NAME,
        "clientConnection": {"kubeconfig": str(site.layout.client_config("kube-proxy"))},
        # The connection table's size is the host's; a namespace may not set it.
        "conntrack": {"maxPerCore": 0, "min": 0},
        "nftables": {"minSyncPeriod": "200ms"},
    }


def _is_overlay(path: Path) -> bool:
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    parents = [m for m in mounts if path.is_relative_to(m[1])]
    return max(parents, key=lambda m: len(m[1]))[2] == "overlay" if parents else False
