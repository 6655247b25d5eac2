"""Mounts that pods and containerd made in the cluster's folders."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from dev.cluster.local import network
from dev.cluster.provider import ClusterError

if TYPE_CHECKING:
    from collections.abc import Sequence


def below(folders: Sequence[Path]) -> list[Path]:
    """What is mounted in these folders, the latest mount first."""
    points = [_point(line) for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [p for p in reversed(points) if any(p.is_relative_to(f) for f in folders)]


def bind(source: Path, target: Path) -> None:
    """Make a folder appear at a second place, once, so that mounts there stay there."""
    source.mkdir(parents=True, exist_ok=True)
    target.mkdir(parents=True, exist_ok=True)
    if target not in below([target]):
        network.run(["mount", "--bind", "--make-private", str(source), str(target)])


def remove(folders: Sequence[Path]) -> None:
    """Unmount all of it.

    Raises:
        ClusterError: something stays mounted. Whoever deletes the folders must stop then: it
            would delete what is mounted there, which may be anybody's.
    """
    for point in below(folders):
        for lazily in ((), ("-l",)):
            command = ["umount", *lazily, str(point)]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                break
    if left := below(folders):
        raise ClusterError(
            f"these mounts cannot be removed: {', '.join(map(str, left))}; see who uses them "
            "(`fuser -vm PATH`), then try again"
        )


def _point(line: str) -> Path:
    # Spaces and the like are written in octal.
    escaped = line.split()[1]
    return Path(re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), escaped))
