"""Clusters that somebody else made."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import yaml

from dev.cluster import files, images
from dev.cluster.provider import Capabilities, ClusterError, Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dev.cluster.settings import Settings


class ExistingCluster:
    """A cluster that is only borrowed.

    Args:
        settings: where our copy of its kubeconfig is kept.
        name: what we call it.
        kubeconfig: how to reach it; needed once, `down` forgets it.
        context: which context of the kubeconfig; its current one unless named.
        registry: where its nodes pull images from, and we may push to.
        enforces_network_policy: whether it does; we cannot find out without running pods.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        *,
        kubeconfig: Path | None = None,
        context: str | None = None,
        registry: str | None = None,
        enforces_network_policy: bool = False,
    ) -> None:
        self.name = name
        self._folder = settings.clusters / f"existing-{name}"
        self._given = kubeconfig
        self._context = context
        self._registry = registry
        self._enforces_network_policy = enforces_network_policy

    @property
    def kubeconfig(self) -> Path:
        """Our copy, with the right context chosen; the user's is left alone."""
        return self._folder / "kubeconfig"

    @property
    def capabilities(self) -> Capabilities:
        """A node, and what the user said."""
        return Capabilities(node=True, enforces_network_policy=self._enforces_network_policy)

    def up(self) -> None:
        """Take the kubeconfig and see whether the cluster answers; nothing is started."""
        if self._given:
            self._copy(self._given)
        if not self.kubeconfig.exists():
            raise ClusterError("--provider existing needs --kubeconfig FILE (and maybe --context)")
        done = self._readyz()
        if done.returncode:
            raise ClusterError(f"the cluster does not answer: {done.stderr.strip()}")

    def load(self, sources: Sequence[str]) -> None:
        """Push images to the registry that the cluster pulls from."""
        if not self._registry:
            raise ClusterError(
                "images cannot be put into nodes that are not ours; name a registry the cluster "
                "pulls from with --registry, and use its images' names there"
            )
        for source in sources:
            images.push(images.find(source), self._registry)

    def status(self) -> Status:
        """Whether it answers."""
        ready = self.kubeconfig.exists() and self._readyz().returncode == 0
        details = {"kubeconfig": str(self.kubeconfig)}
        return Status(name=self.name, provider="existing", ready=ready, details=details)

    def down(self, *, keep_state: bool = False) -> None:
        """Forget it; it goes on without us, as does what others put into it."""
        if not keep_state:
            self.kubeconfig.unlink(missing_ok=True)
            if self._folder.is_dir():
                self._folder.rmdir()

    def _copy(self, given: Path) -> None:
        if not given.is_file():
            raise ClusterError(f"--kubeconfig: there is no file {given}")
        config = yaml.safe_load(given.read_text())
        contexts = [entry["name"] for entry in config.get("contexts") or []]
        chosen = self._context or config.get("current-context")
        if chosen not in contexts:
            known = ", ".join(contexts) or "none"
            raise ClusterError(f"--context: {given} has no context {chosen!r}; it has: {known}")
        content = yaml.safe_dump({**config, "current-context": chosen})
        files.write(self.kubeconfig, content, mode=0o600)

    def _readyz(self) -> subprocess.CompletedProcess[str]:
        command = ["kubectl", "--kubeconfig", str(self.kubeconfig), "get", "--raw", "/readyz"]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise ClusterError("the provider `existing` needs kubectl in PATH") from error
