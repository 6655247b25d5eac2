"""Clusters made on this machine: `local.up(name="mine")` brings one up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.cluster.local.cluster import LocalCluster
from dev.cluster.settings import Settings

if TYPE_CHECKING:
    from dev.cluster.progress import Progress
    from dev.cluster.provider import Size

__all__ = ["LocalCluster", "up"]


def up(
    name: str = "breakwater",
    *,
    size: Size | None = None,
    fake_nodes: int | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> LocalCluster:
    """Bring a cluster up, or what of it is down, and return it."""
    cluster = LocalCluster(
        settings or Settings.from_environment(),
        name,
        size=size,
        fake_nodes=fake_nodes,
        progress=progress,
    )
    cluster.up()
    return cluster
