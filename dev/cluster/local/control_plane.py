"""etcd, the API server, the controllers, the scheduler, and the caretaker of volumes and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.cluster.local.processes import Service

if TYPE_CHECKING:
    from dev.cluster.local.site import Site

ETCD_PORT = 2379
_ETCD = f"http://127.0.0.1:{ETCD_PORT}"

LOG_BYTES_MAX = 20 * 1024 * 1024
"""Past this the caretaker sets a log aside and begins it anew; one old one is kept."""


def etcd(site: Site) -> Service:
    """The store, without waiting for the disk.

    Killing it loses nothing, since the kernel has what it wrote. The machine going down may.
    """
    flags = {
        "data-dir": str(site.layout.etcd),
        "listen-client-urls": _ETCD,
        "advertise-client-urls": _ETCD,
        "listen-peer-urls": "http://127.0.0.1:2380",
        "unsafe-no-fsync": "true",
        # One member elects itself; there is no network to be patient with.
        "heartbeat-interval": "50",
        "election-timeout": "250",
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": "10m",
        "quota-backend-bytes": str(4 * 1024**3),
        # As kubeadm has it. The API server leaves out bookmarks that are no newer than where the
        # watch began, and at etcd's ten minutes watches of quiet kinds look dead.
        "watch-progress-notify-interval": "5s",
        "log-level": "warn",
    }
    return _service("etcd", site, flags)


def api_server(site: Site) -> Service:
    """The API server, with everything on that a real one has: RBAC, admission, aggregation."""
    pki = site.layout.pki
    flags = {
        "etcd-servers": _ETCD,
        "advertise-address": str(site.addresses.node),
        "service-cluster-ip-range": str(site.addresses.services),
        "authorization-mode": "Node,RBAC",
        "allow-privileged": "true",
        "client-ca-file": f"{pki}/ca.crt",
        "tls-cert-file": f"{pki}/apiserver.crt",
        "tls-private-key-file": f"{pki}/apiserver.key",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-signing-key-file": f"{pki}/service-accounts.key",
        "service-account-key-file": f"{pki}/service-accounts.pub",
        "kubelet-certificate-authority": f"{pki}/ca.crt",
        "kubelet-client-certificate": f"{pki}/apiserver-to-kubelet.crt",
        "kubelet-client-key": f"{pki}/apiserver-to-kubelet.key",
        # Else logs and exec look the node's name up in the host's DNS.
        "kubelet-preferred-address-types": "InternalIP",
        "requestheader-client-ca-file": f"{pki}/ca.crt",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": f"{pki}/front-proxy.crt",
        "proxy-client-key-file": f"{pki}/front-proxy.key",
        # Add-ons are reached by their endpoints: without a node no Service address works.
        "enable-aggregator-routing": "true",
        "profiling": "false",
    }
    return _service("kube-apiserver", site, flags)


def controller_manager(site: Site) -> Service:
    """The controllers; alone, so they need not elect a leader."""
    pki, config = site.layout.pki, site.layout.client_config("controller-manager")
    flags = {
        "kubeconfig": str(config),
        "authentication-kubeconfig": str(config),
        "authorization-kubeconfig": str(config),
        "service-account-private-key-file": f"{pki}/service-accounts.key",
        "root-ca-file": f"{pki}/ca.crt",
        "cluster-signing-cert-file": f"{pki}/ca.crt",
        "cluster-signing-key-file": f"{pki}/ca.key",
        "use-service-account-credentials": "true",
        "leader-elect": "false",
        # The pod network's ranges are fixed; nodes need none of their own.
        "allocate-node-cidrs": "false",
        "horizontal-pod-autoscaler-sync-period": "5s",
        "kube-api-qps": "200",
        "kube-api-burst": "400",
        "profiling": "false",
    }
    return _service("kube-controller-manager", site, flags)


def scheduler(site: Site) -> Service:
    """The scheduler, likewise alone."""
    flags = {
        "kubeconfig": str(site.layout.client_config("scheduler")),
        "leader-elect": "false",
        "kube-api-qps": "200",
        "kube-api-burst": "400",
        "profiling": "false",
    }
    return _service("kube-scheduler", site, flags)


def caretaker(site: Site) -> Service:
    """Our own: provisions volumes for the default StorageClass and bounds the logs."""
    flags = {
        "kubeconfig": str(site.layout.client_config("addons")),
        "volumes": str(site.layout.volumes),
        "logs": str(site.layout.logs),
        "log-bytes-max": str(LOG_BYTES_MAX),
    }
    return _service("caretaker", site, flags)


def _service(name: str, site: Site, flags: dict[str, str]) -> Service:
    arguments = tuple(f"--{flag}={value}" for flag, value in flags.items())
    return Service(name=name, command=(*site.kube(name), *arguments))
