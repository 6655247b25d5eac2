"""Podman and Podman Compose out of Debian's packages, unpacked beside the system.

Were podman installed, images would be built with it from then on, and not as everybody else's are.
"""

from __future__ import annotations

import ctypes.util
import resource
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dev.images import cache
from dev.prerequisites import Program, require

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PACKAGES = ("conmon", "podman", "podman-compose", "python3-dotenv")
BESIDE = (
    Program("apt-get", "apt"),
    Program("buildah", "buildah"),  # which needs the same libraries
    Program("runc", "runc"),
    Program("iptables", "iptables"),
    Program("/usr/lib/cni/bridge", "containernetworking-plugins"),
)
GLIB = (Program("glib-2.0", "libglib2.0-0"),)
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
FILES_MAX, PROCESSES_MAX = 4096, 1024
"""What containers may open and start: not everybody may raise his own limits for them."""

SETTINGS = """\
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
[engine]
cgroup_manager = "cgroupfs"
conmon_path = ["{unpacked}/usr/bin/conmon"]
events_logger = "file"
runtime = "runc"
[network]
cni_plugin_dirs = ["/usr/lib/cni"]
network_backend = "cni"
network_config_dir = "{folder}/networks"
"""
PODMAN = """\
#!/bin/sh
export CONTAINERS_CONF={folder}/containers.conf
storage="--root {folder}/images --runroot {folder}/run --storage-driver vfs"
exec {unpacked}/usr/bin/podman $storage "$@"
"""
COMPOSE = "import sys; from podman_compose import main; sys.argv[0] = 'podman-compose'; main()"


@dataclass(frozen=True)
class Podman:
    """An engine with images, containers and networks of its own."""

    folder: Path
    unpacked: Path

    @property
    def path(self) -> str:
        """Where programs are looked for by who shall find podman, and no docker."""
        return f"{self.folder}:{PATH}"

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run podman and return what it printed."""
        return self._run([str(self.folder / "podman"), *arguments], {}, check=check)

    def compose(self, folder: Path, *arguments: str, **environment: str) -> str:
        """Run Podman Compose where a file for it lies."""
        libraries = str(self.unpacked / "usr/lib/python3/dist-packages")
        command = [sys.executable, "-c", COMPOSE, *arguments]
        return self._run(command, {"PYTHONPATH": libraries, **environment}, folder)

    def _run(
        self,
        command: list[str],
        environment: Mapping[str, str],
        folder: Path | None = None,
        *,
        check: bool = True,
    ) -> str:
        done = subprocess.run(
            command,
            cwd=folder,
            env={"PATH": self.path, "HOME": str(self.folder), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@contextmanager
def podman(folder: Path) -> Iterator[Podman]:
    """Give an engine until the end of the block, and leave nothing of it behind."""
    made = Podman(folder, _unpacked())
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    words = {
        "folder": folder,
        "unpacked": made.unpacked,
        "files": min(hard, FILES_MAX),
        "processes": PROCESSES_MAX,
    }
    (folder / "networks").mkdir()
    (folder / "containers.conf").write_text(SETTINGS.format(**words))
    (folder / "podman").write_text(PODMAN.format(**words))
    (folder / "podman").chmod(0o755)
    try:
        yield made
    finally:
        made.run("rm", "--all", "--force", "--time", "1", check=False)
        made.run("network", "prune", "--force", check=False)


def _unpacked() -> Path:
    """Fetch the packages, once."""
    require(BESIDE)
    require(GLIB, look=ctypes.util.find_library)
    final = cache.default().parent / "podman" / cache.digest(*PACKAGES)
    with cache.made_once(final) as folder:
        if folder is not None:
            fetch = ["apt-get", "download", "--quiet", *PACKAGES]
            subprocess.run(fetch, cwd=folder, check=True, stdout=2)
            for package in folder.glob("*.deb"):
                subprocess.run(["dpkg-deb", "--extract", package, folder], check=True)
                package.unlink()
    return final
