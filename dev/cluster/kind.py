"""Clusters that kind makes, where Docker is."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from dev.cluster import files, images
from dev.cluster.provider import Capabilities, ClusterError, Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dev.cluster.settings import Settings


class KindCluster:
    """One cluster in a container, by the tools `kind` and `docker`.

    Args:
        settings: where its kubeconfig is kept.
        name: kind's name for it.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self.name = name
        self._folder = settings.clusters / f"kind-{name}"

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig of its own; the user's is left alone."""
        return self._folder / "kubeconfig"

    @property
    def capabilities(self) -> Capabilities:
        """A node; kind's network enforces NetworkPolicies since v0.24."""
        return Capabilities(node=True, enforces_network_policy=True)

    def up(self) -> None:
        """Create the cluster, unless kind has one of this name."""
        if self.name in self._kind("get", "clusters").split():
            config = self._kind("get", "kubeconfig", "--name", self.name)
            files.write(self.kubeconfig, config, mode=0o600)
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        kubeconfig = ("--kubeconfig", str(self.kubeconfig))
        self._kind("create", "cluster", "--name", self.name, "--wait", "120s", *kubeconfig)

    def load(self, sources: Sequence[str]) -> None:
        """Hand image archives to kind, which skips what its node has."""
        for source in sources:
            with images.find(source).archive() as archive:
                self._kind("load", "image-archive", str(archive), "--name", self.name)

    def status(self) -> Status:
        """Whether kind knows it and its API server answers."""
        exists = self.name in self._kind("get", "clusters").split()
        command = ["kubectl", "--kubeconfig", str(self.kubeconfig), "get", "--raw", "/readyz"]
        done = subprocess.run(command, capture_output=True, check=False) if exists else None
        ready = done is not None and done.returncode == 0
        details = {"kubeconfig": str(self.kubeconfig), "exists": "yes" if exists else "no"}
        return Status(name=self.name, provider="kind", ready=ready, details=details)

    def down(self, *, keep_state: bool = False) -> None:
        """Delete the cluster; kind cannot stop one and keep it."""
        if keep_state:
            raise ClusterError("--keep-state: kind cannot stop a cluster without deleting it")
        self._kind("delete", "cluster", "--name", self.name)
        self.kubeconfig.unlink(missing_ok=True)
        if self._folder.is_dir():
            self._folder.rmdir()

    def _kind(self, *arguments: str) -> str:
        try:
            done = subprocess.run(["kind", *arguments], capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise ClusterError(
                "the provider `kind` needs the tools kind and docker in PATH; install them, or "
                "use --provider local, which needs neither"
            ) from error
        if done.returncode:
            raise ClusterError(f"`kind {' '.join(arguments)}` failed: {done.stderr.strip()}")
        return done.stdout
