"""Stopping a cluster and removing every trace of it, from whatever state it is in."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from dev.cluster.local import cgroups, mounts, network, processes, state

if TYPE_CHECKING:
    from dev.cluster.local.state import Layout

_CNI_RESULTS = Path("/var/lib/cni/results")
_CONTAINER_LOGS = Path("/var/log/containers")
_SHIM_SOCKETS = Path("/run/containerd/s")


def stop(layout: Layout) -> None:
    """End every process and undo what the kernel holds; files stay.

    The kubelet goes first, so that nothing is started again; then what runs in pods, whose ends
    containerd still notes; then the rest. Nothing here asks the API server or containerd for
    help, which may not be there, and nothing waits for services to end politely: all of them
    stand being killed.
    """
    processes.stop(p for p in processes.leftovers(layout) if p.service == "kubelet")
    _kill_pods(layout)
    processes.stop(processes.leftovers(layout))
    # A shim may have started something between the two looks.
    _kill_pods(layout)
    processes.stop(processes.leftovers(layout))
    sockets = _shim_sockets(layout)
    mounts.remove([layout.state, layout.run])
    cgroups.remove(layout)
    record = state.load(layout)
    network.remove(layout, state.addresses(record) if record else None)
    for socket in sockets:
        socket.unlink(missing_ok=True)
    _remove_traces(layout)


def forget(layout: Layout) -> None:
    """Remove what a stopped cluster remembers."""
    shutil.rmtree(layout.state, ignore_errors=True)
    if layout.state.exists():
        shutil.rmtree(layout.state)


def _kill_pods(layout: Layout) -> None:
    processes.stop(processes.identify(cgroups.pids(layout)))


def _shim_sockets(layout: Layout) -> list[Path]:
    """The sockets of shims, which containerd keeps in one folder for the whole machine."""
    found: list[Path] = []
    for file in (layout.run / "containerd").glob("*/k8s.io/*/*"):
        if file.name in {"address", "bootstrap.json"}:
            with contextlib.suppress(OSError):
                paths = re.findall(rf"{_SHIM_SOCKETS}/[0-9a-f]+", file.read_text())
                found += map(Path, paths)
    return found


def _remove_traces(layout: Layout) -> None:
    """Remove what lies outside of the cluster's own folders."""
    shutil.rmtree(layout.run, ignore_errors=True)
    with contextlib.suppress(OSError):
        layout.run.parent.rmdir()
    results = re.compile(rf"{re.escape(layout.namespace)}-[0-9a-f]{{64}}-")
    for path in _CNI_RESULTS.glob(f"{layout.namespace}-*"):
        if results.match(path.name):
            path.unlink(missing_ok=True)
    for link in _CONTAINER_LOGS.glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(layout.pod_logs):
            link.unlink(missing_ok=True)
