"""One cluster's facts together: what was asked for, its addresses, files and programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dev.cluster import build
from dev.cluster.provider import Size

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dev.cluster.local.addresses import Addresses
    from dev.cluster.local.state import Layout, Record


def needed(size: Size, fake_nodes: int) -> list[build.Program]:
    """Which programs a cluster of this kind is made of."""
    programs = [build.KUBE]
    if size is Size.NODE:
        programs += [build.CONTAINER_RUNTIME, build.PAUSE, build.DNS, build.METRICS_SERVER]
    if fake_nodes:
        programs.append(build.KWOK)
    return programs


@dataclass(frozen=True, kw_only=True)
class Site:
    """Everything the cluster's services are described from."""

    layout: Layout
    addresses: Addresses
    record: Record
    folders: Mapping[str, Path]
    """Where each build is, by the program's name."""
    cni_plugins: Path

    @property
    def has_node(self) -> bool:
        """Whether pods run."""
        return self.record.size is Size.NODE

    def program(self, name: str, build_name: str | None = None) -> str:
        """The path of a program."""
        return str(self.folders[build_name or name] / name)

    def kube(self, component: str) -> tuple[str, str]:
        """The words that start a component of the one Kubernetes binary."""
        return self.program("kube"), component
