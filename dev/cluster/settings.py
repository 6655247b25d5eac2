"""Where clusters keep their files: the only reader of the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Folders, by the XDG rules."""

    cache: Path
    """Binaries, by the hash of what they are built from; may be deleted at any time."""
    clusters: Path
    """One folder per cluster; what a cluster remembers while it is down."""
    run: Path = Path("/run/breakwater")
    """One folder per cluster; sockets and mounts, which do not outlive the machine's run."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What compilers and the cluster's programs inherit."""

    @classmethod
    def from_environment(cls) -> Settings:
        """Follow XDG_CACHE_HOME and XDG_STATE_HOME."""
        environment = dict(os.environ)  # noqa: TID251  the one place that reads it
        return cls(
            cache=_folder(environment.get("XDG_CACHE_HOME"), ".cache") / "breakwater" / "cluster",
            clusters=_folder(environment.get("XDG_STATE_HOME"), ".local/state")
            / "breakwater"
            / "clusters",
            environment=environment,
        )


def _folder(value: str | None, default: str) -> Path:
    # XDG: a relative path is to be ignored.
    path = Path(value or "")
    return path if path.is_absolute() else Path.home() / default
