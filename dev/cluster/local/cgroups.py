"""The control group that all pods of a cluster live under, in every hierarchy."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster.local.state import Layout

_ROOT = Path("/sys/fs/cgroup")
_BUSY_SECONDS = 5.0
"""How long the kernel may take to let go of a group whose processes have been killed."""


def ensure(layout: Layout) -> None:
    """Make the group; the kubelet starts only where its root group exists."""
    for hierarchy in _hierarchies():
        (hierarchy / layout.namespace).mkdir(exist_ok=True)
    control = _ROOT / "cgroup.subtree_control"
    if control.exists():
        available = (_ROOT / "cgroup.controllers").read_text().split()
        for group in (_ROOT, _ROOT / layout.namespace):
            for controller in available:
                with contextlib.suppress(OSError):
                    (group / "cgroup.subtree_control").write_text(f"+{controller}")


def pids(layout: Layout) -> set[int]:
    """Every process of every pod."""
    found: set[int] = set()
    for group in _groups(layout):
        with contextlib.suppress(OSError):
            found.update(map(int, (group / "cgroup.procs").read_text().split()))
    return found


def remove(layout: Layout) -> None:
    """Remove the group and all below it; their processes must be gone."""
    end = time.monotonic() + _BUSY_SECONDS
    for group in _groups(layout):
        while True:
            try:
                group.rmdir()
            except FileNotFoundError:
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
            else:
                break


def _groups(layout: Layout) -> Iterator[Path]:
    """The group's folders, deepest first."""
    for hierarchy in _hierarchies():
        top = hierarchy / layout.namespace
        if top.is_dir():
            below = sorted((p for p in top.rglob("*") if p.is_dir()), reverse=True)
            yield from (*below, top)


def _hierarchies() -> list[Path]:
    """All of version 1's, or version 2's single one."""
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    folders = [p for p in _ROOT.iterdir() if p.is_dir() and not p.is_symlink()]
    return [p for p in folders if (p / "cgroup.procs").exists()]
