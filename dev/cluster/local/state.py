"""What a cluster remembers while it is down, and where everything of it lies."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dev.cluster import files
from dev.cluster.local.addresses import Addresses
from dev.cluster.provider import ClusterError, Size

if TYPE_CHECKING:
    from pathlib import Path

    from dev.cluster.settings import Settings

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class Record:
    """What was asked for, and which addresses were given."""

    size: Size
    fake_nodes: int
    index: int


class Layout:
    """The folders and files of one cluster.

    Args:
        settings: the folders of all clusters.
        name: the cluster's.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise ClusterError(
                f"--name: {name!r} is not a cluster name; use at most 32 lower-case letters, "
                "digits and dashes, beginning and ending with a letter or digit"
            )
        self.name = name
        self.settings = settings
        self.state = settings.clusters / name
        self.run = settings.run / name
        self.lock = settings.clusters / f".{name}.lock"
        self.record = self.state / "cluster.json"
        self.kubeconfig = self.state / "kubeconfig"
        self.pki = self.state / "pki"
        self.etcd = self.state / "etcd"
        self.config = self.state / "config"
        self.logs = self.state / "logs"
        self.volumes = self.state / "volumes"
        self.pod_logs = self.state / "pod-logs"
        self.images = self.state / "images.json"
        self.bin = self.state / "bin"
        self.kubelet = self.state / "kubelet"
        self.kubelet_root = self.run / "kubelet"
        self.pod_addresses = self.run / "addresses"
        self.containerd_socket = self.run / "containerd.sock"

    @property
    def namespace(self) -> str:
        """The network namespace's name; also that of the cgroup and the pod network."""
        return f"breakwater-{self.name}"

    @property
    def namespace_path(self) -> Path:
        """Where `ip netns` keeps the network namespace."""
        return self.settings.run.parent / "netns" / self.namespace

    def client_config(self, user: str) -> Path:
        """The kubeconfig of one component."""
        return self.config / f"{user}.kubeconfig"


def load(layout: Layout) -> Record | None:
    """Read what the cluster remembers; None where there is none."""
    try:
        stored = json.loads(layout.record.read_text())
    except FileNotFoundError:
        return None
    return Record(size=Size(stored["size"]), fake_nodes=stored["fake_nodes"], index=stored["index"])


def save(layout: Layout, record: Record) -> None:
    """Keep it."""
    files.write(layout.record, json.dumps(dataclasses.asdict(record), indent=1) + "\n")


def taken_indexes(settings: Settings, *, but: str) -> list[int]:
    """The address blocks that other clusters remember as theirs, running or not."""
    others = (path.parent.name for path in settings.clusters.glob("*/cluster.json"))
    records = (load(Layout(settings, name)) for name in others if name != but)
    return [record.index for record in records if record]


def addresses(record: Record) -> Addresses:
    """The addresses that the cluster was given."""
    return Addresses(record.index)
