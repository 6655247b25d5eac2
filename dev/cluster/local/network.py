"""The network namespace that the whole node lives in, and the one wire to it.

Pod and Service addresses exist in the namespace only; the host reaches them through one route.
The namespace has no way further than the host's end of the wire: nothing can leave.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from dev.cluster.provider import ClusterError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dev.cluster.local.addresses import Addresses
    from dev.cluster.local.state import Layout


def inside(layout: Layout) -> list[str]:
    """The words before a command that make it run in the namespace.

    Not `ip netns exec`: it mounts /sys anew, and the kubelet then finds no cgroups.
    """
    return ["nsenter", f"--net={layout.namespace_path}"]


def exists(layout: Layout) -> bool:
    """Whether the namespace can be entered; a file left by a killed `ip netns add` cannot."""
    return layout.namespace_path.exists() and _try(*inside(layout), "true")


def ensure(layout: Layout, addresses: Addresses) -> None:
    """Make the namespace and the wire, or mend them."""
    if not exists(layout):
        _remove_namespace(layout)
        _run("ip", "netns", "add", layout.namespace)
        # A new namespace has no pods: addresses that were given out before are free.
        shutil.rmtree(layout.pod_addresses, ignore_errors=True)
    space = ("ip", "-n", layout.namespace)
    if not _try(*space, "link", "show", "eth0"):
        _try("ip", "link", "delete", addresses.interface)
        peer = ("peer", "name", "eth0", "netns", layout.namespace)
        _run("ip", "link", "add", addresses.interface, "type", "veth", *peer)
    prefix = addresses.link.prefixlen
    for device in ("lo", "eth0"):
        _run(*space, "link", "set", device, "up")
    _run(*space, "address", "replace", f"{addresses.node}/{prefix}", "dev", "eth0")
    # kube-proxy rewrites a packet only after a route for it was found. What it does not rewrite
    # asks the host for an address that the host does not have, and ends there.
    _run(*space, "route", "replace", str(addresses.services), "dev", "eth0")
    _run("ip", "address", "replace", f"{addresses.host}/{prefix}", "dev", addresses.interface)
    _run("ip", "link", "set", addresses.interface, "up")
    _run("ip", "route", "replace", str(addresses.block), "via", str(addresses.node))
    _run(*inside(layout), "sysctl", "-qw", "net.ipv4.ip_forward=1")


def remove(layout: Layout, addresses: Addresses | None) -> None:
    """Remove the namespace and the wire; the route goes with the wire."""
    if addresses:
        _try("ip", "link", "delete", addresses.interface)
    _remove_namespace(layout)


def routes() -> list[tuple[IPv4Network, str]]:
    """What the host has routes for, and through which interface."""
    listed = json.loads(_run("ip", "-j", "-4", "route", "show", "table", "all") or "[]")
    return [
        (IPv4Network(entry["dst"]), str(entry.get("dev", "")))
        for entry in listed
        if entry["dst"] != "default" and entry.get("type", "unicast") == "unicast"
    ]


def _remove_namespace(layout: Layout) -> None:
    _try("ip", "netns", "delete", layout.namespace)
    _unlink(layout.namespace_path)


def _unlink(path: Path) -> None:
    # A killed `ip netns add` leaves an empty file that `ip netns delete` cannot unmount.
    path.unlink(missing_ok=True)


def _try(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _run(*command: str) -> str:
    return run(command)


def run(command: Sequence[str]) -> str:
    """Run a tool that has to succeed; what it says is in the error where it does not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ClusterError(f"{command[0]} is not installed") from error
    if done.returncode:
        raise ClusterError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout
