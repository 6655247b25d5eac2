"""What every cluster offers, wherever it comes from."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FAKE_NODES_MAX = 2000
"""Past this many fake nodes their heartbeats alone keep two cores busy."""


class ClusterError(Exception):
    """The cluster cannot do what was asked; the message says what to do about it."""


class Size(enum.StrEnum):
    """How much of a cluster there is."""

    CONTROL_PLANE = "control-plane"
    """The API server and its controllers: objects are real, pods run nowhere."""

    NODE = "node"
    """A real node besides: pods run, Services, DNS names, probes, logs and exec work."""


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a test may count on."""

    node: bool
    """Pods really run."""
    enforces_network_policy: bool
    """A NetworkPolicy that forbids traffic stops it."""
    fake_nodes: int = 0
    """Pods are called Ready on this many nodes that do not exist."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """What a cluster looks like now."""

    name: str
    provider: str
    ready: bool
    """The API server answers, and what should run does."""
    details: Mapping[str, str]
    """One line per part: its name, and what can be said of it."""


class Cluster(Protocol):
    """One cluster, from whichever provider."""

    name: str

    @property
    def kubeconfig(self) -> Path:
        """A file that makes kubectl and every client talk to this cluster as its administrator."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What a test may count on."""
        ...

    def up(self) -> None:
        """Start whatever of it does not run; nothing changes where everything does."""
        ...

    def load(self, images: Sequence[str]) -> None:
        """Make images usable by pods: tar files, or names that an image tool on this machine knows.

        An image whose content is there already is not loaded again.
        """
        ...

    def status(self) -> Status:
        """Say what runs."""
        ...

    def down(self, *, keep_state: bool = False) -> None:
        """Remove everything that `up` and `load` made; with `keep_state`, stop it only."""
        ...
