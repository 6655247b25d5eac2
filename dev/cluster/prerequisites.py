"""What a local cluster needs of the machine: one look, one message, and help where we can."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dev.cluster.build import MODULES
from dev.cluster.provider import ClusterError, Size
from dev.prerequisites import apt_install, can_install

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dev.cluster.progress import Progress

CNI_PLUGINS = ("ptp", "host-local", "portmap")
CNI_FOLDERS = (Path("/opt/cni/bin"), Path("/usr/lib/cni"), Path("/usr/libexec/cni"))

_GO_LINE = re.compile(r"^go (\d+(?:\.\d+)+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Something the machine lacks."""

    what: str
    remedy: str
    package: str = ""
    """The Debian package that has it; empty where none has."""


_TOOLS = {
    "ip": "iproute2",
    "nsenter": "util-linux",
    "setsid": "util-linux",
    "sysctl": "procps",
}
_NODE_TOOLS = {
    "runc": "runc",
    "nft": "nftables",
    "iptables": "iptables",
    "mount": "mount",
    "umount": "mount",
}


def missing(
    size: Size,
    *,
    which: Callable[[str], str | None] = shutil.which,
    go_version: Callable[[], str] | None = None,
    is_root: bool | None = None,
    cni_folders: Iterable[Path] = CNI_FOLDERS,
    cgroups: Path = Path("/sys/fs/cgroup"),
) -> list[Missing]:
    """List all that a cluster of this size needs and this machine lacks."""
    root = os.geteuid() == 0 if is_root is None else is_root
    found = [*_missing_go(which, go_version or _go_version)]
    tools = _TOOLS | (_NODE_TOOLS if size is Size.NODE else {})
    found += [
        Missing(what=tool, remedy=f"install the package {package}", package=package)
        for tool, package in tools.items()
        if not which(tool)
    ]
    if size is Size.NODE and cni_plugins(cni_folders) is None:
        package = "containernetworking-plugins"
        found.append(
            Missing(
                what=f"the CNI plugins {', '.join(CNI_PLUGINS)} (in one folder)",
                remedy=f"install the package {package}, or put them in /opt/cni/bin",
                package=package,
            )
        )
    found += _missing_rights(size, root, cgroups)
    return found


def cni_plugins(folders: Iterable[Path] = CNI_FOLDERS) -> Path | None:
    """The folder that has every CNI plugin we use."""
    whole = (f for f in folders if all((f / plugin).exists() for plugin in CNI_PLUGINS))
    return next(whole, None)


def message(lacking: Sequence[Missing]) -> str:
    """Say all of it at once, and how to get each."""
    lines = [f"  - {item.what}: {item.remedy}" for item in lacking]
    packages = sorted({item.package for item in lacking if item.package})
    if packages:
        lines.append(f"  On Debian or Ubuntu: apt-get install {' '.join(packages)}")
    return "\n".join(["a local cluster needs what this machine lacks:", *lines])


def ensure(size: Size, progress: Progress) -> None:
    """Return when the machine has everything; install what Debian has, if we may.

    Raises:
        ClusterError: something is missing still; the message lists all of it.
    """
    lacking = missing(size)
    packages = sorted({item.package for item in lacking if item.package})
    if packages and can_install():
        with progress.step(f"installing {' '.join(packages)}"):
            apt_install(packages)
        lacking = missing(size)
    if lacking:
        raise ClusterError(message(lacking))


def go_needed() -> tuple[int, ...]:
    """The oldest Go that builds every module; each says it in its go.mod."""
    texts = [path.read_text() for path in MODULES.glob("*/go.mod")]
    return max(_version(match[1]) for text in texts for match in _GO_LINE.finditer(text))


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _missing_go(
    which: Callable[[str], str | None], version: Callable[[], str]
) -> Iterable[Missing]:
    needed = go_needed()
    name = f"go {'.'.join(map(str, needed))} or later"
    remedy = "install it from the Go project's download page, and put it in PATH"
    if not which("go"):
        yield Missing(what=name, remedy=remedy)
        return
    said = version()
    found = re.match(r"go(\d+(?:\.\d+)+)", said)
    if not found or _version(found[1]) < needed:
        yield Missing(what=f"{name} (found {said or 'none that runs'})", remedy=remedy)


def _missing_rights(size: Size, root: bool, cgroups: Path) -> Iterable[Missing]:
    if sys.platform != "linux":
        yield Missing(what="Linux", remedy="use --provider kind, or a Linux machine")
    if not root:
        yield Missing(
            what="root", remedy="run as root (sudo): network namespaces and routes need it"
        )
    if size is Size.NODE and not _has_memory_controller(cgroups):
        yield Missing(
            what=f"control groups with the memory controller under {cgroups}",
            remedy="mount them (in a container: run it privileged, with the host's cgroups)",
        )


def _has_memory_controller(cgroups: Path) -> bool:
    unified = cgroups / "cgroup.controllers"
    if unified.exists():
        return "memory" in unified.read_text().split()
    return (cgroups / "memory").is_dir()


def _go_version() -> str:
    done = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=False)
    return done.stdout.strip()
