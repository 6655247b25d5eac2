"""Puts together what an image consists of: only what was asked for and what that needs.

The Containerfiles run this file in their build stages, by the base image's own Python, with nothing
but the standard library. What is not named here is not in the image: no shell, no package manager,
no pip. Every layer is a folder whose content follows from its inputs alone: fixed times, and
bytecode that does not depend on times.

    rootfs.py system LAYER                   Python, its libraries, certificates, time zones
    rootfs.py packages LAYER BELOW FOLDER    installed packages, and libraries that BELOW lacks
    rootfs.py application LAYER COMMAND      bytecode for what was installed into LAYER, with no
                                             other command than COMMAND

A layer records the Debian packages that its files come from, and carries their licences, so that
vulnerability scanners and lawyers find what they look for.
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

MODIFIED = 1580601600
"""The time that every file bears: 2020-02-02, as wheels built by hatchling do."""

USER = 65532
"""The user and group that the images run as: a number, so that Kubernetes can check it."""

LEFT_OUT = frozenset(
    {
        "EXTERNALLY-MANAGED",
        "__pycache__",
        "_tkinter.*",
        "config-*",
        "dist-packages",
        "distutils",
        "ensurepip",
        "idlelib",
        "lib2to3",
        "nis.*",
        "pydoc_data",
        "site-packages",
        "sitecustomize.py",
        "test",
        "tests",
        "tkinter",
        "turtle.py",
        "turtledemo",
        "venv",
    }
)
"""Parts of the standard library that a server has no use for, and packages of the base image."""

SYSTEM = (
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/os-release",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/usr/lib/ssl",
    "/usr/share/ca-certificates",
    "/usr/share/zoneinfo",
)

LIBRARIES = ("libgcc_s.so.1", "libstdc++.so.6")
"""Libraries that wheels may count on being there; glibc looks for the first one by itself."""

PASSWD = (
    f"root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:{USER}:{USER}::/nonexistent:/sbin/nologin\n"
)
GROUP = f"root:x:0:\nnonroot:x:{USER}:\n"
NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\n"

DPKG = Path("/var/lib/dpkg")


class LayerError(Exception):
    """Something that the image needs is not in the base image."""


class Layer:
    """A folder that becomes one layer, filled by copying paths of the base image.

    Args:
        root: the folder.
        below: layers that lie under it; what they have is not copied again.
    """

    def __init__(self, root: Path, *below: Path) -> None:
        self.root = root
        self.copied: set[Path] = set()
        self._below = below
        root.mkdir(parents=True, exist_ok=True)

    def add(self, path: Path, left_out: frozenset[str] = frozenset()) -> None:
        """Copy a file or folder, and whatever its symbolic links lead to, if it is there."""
        place = path.parent.resolve() / path.name
        if place in self.copied or not os.path.lexists(place) or self._is_below(place):
            return
        self.copied.add(place)
        target = self.inside(place)
        target.parent.mkdir(parents=True, exist_ok=True)
        if place.is_symlink():
            target.symlink_to(place.readlink())
            self.add(place.parent / place.readlink(), left_out)
        elif place.is_dir():
            target.mkdir(exist_ok=True)
            for child in sorted(place.iterdir()):
                if not any(child.match(pattern) for pattern in left_out):
                    self.add(child, left_out)
        else:
            shutil.copy(place, target)

    def write(self, path: str, content: str) -> None:
        """Write a file of our own."""
        target = self.inside(Path(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)

    def inside(self, path: Path) -> Path:
        """Say where an absolute path of the image lies while it is being built."""
        return self.root / path.relative_to("/")

    def _is_below(self, place: Path) -> bool:
        inside = place.relative_to("/")
        return any(os.path.lexists(below / inside) for below in self._below)


def libraries(programs: Iterable[Path]) -> Iterator[Path]:
    """Name the shared libraries that programs and extension modules load.

    Raises:
        LayerError: One of them is not in the base image.
    """
    listed = subprocess.run(
        ["ldd", *map(str, programs)], check=False, text=True, capture_output=True
    ).stdout
    missing = re.findall(r"^\s*(\S+) => not found", listed, re.MULTILINE)
    if missing:
        raise LayerError(f"the base image lacks the libraries {', '.join(sorted(set(missing)))}")
    yield from map(Path, sorted(set(re.findall(r"(/\S+) \(0x", listed))))


def loadable(folder: Path) -> list[Path]:
    """List the shared objects in a folder."""
    return sorted(path for path in folder.rglob("*.so*") if path.is_file())


def named_libraries(names: Iterable[str]) -> Iterator[Path]:
    """Find libraries by name where the dynamic linker would."""
    cache = subprocess.run(["/sbin/ldconfig", "-p"], check=True, text=True, capture_output=True)
    for name in names:
        found = re.search(rf"^\s*{re.escape(name)} .* => (\S+)$", cache.stdout, re.MULTILINE)
        if found is None:
            raise LayerError(f"the base image lacks the library {name}")
        yield Path(found[1])


def owners(folder: Path = DPKG) -> Mapping[Path, str]:
    """Say which Debian package each file of the base image belongs to."""
    return {
        Path(line).parent.resolve() / Path(line).name: listing.stem.split(":")[0]
        for listing in sorted((folder / "info").glob("*.list"))
        for line in listing.read_text().splitlines()
        if line != "/."
    }


def stanzas(folder: Path = DPKG) -> Mapping[str, str]:
    """Return what dpkg knows of each package, by its name."""
    paragraphs = (folder / "status").read_text().strip().split("\n\n")
    return {re.findall(r"^Package: (\S+)$", p, re.MULTILINE)[0]: p + "\n" for p in paragraphs}


def record_packages(layer: Layer) -> None:
    """Record the Debian packages whose files the layer has, and add their licences.

    One file per package under status.d: the form that scanners know from images without dpkg.
    """
    owner = owners()
    files = {path for path in layer.copied if not path.is_dir()}
    known = stanzas()
    for package in sorted({owner[path] for path in files if path in owner}):
        layer.write(f"/var/lib/dpkg/status.d/{package}", known[package])
        layer.add(Path("/usr/share/doc", package, "copyright"))


def compile_bytecode(layer: Layer) -> None:
    """Compile every module of a layer, in one process and in order, so that the bytes are stable.

    Raises:
        LayerError: A module cannot be compiled.
    """
    compiled = compileall.compile_dir(
        layer.root,
        maxlevels=100,
        quiet=1,
        stripdir=str(layer.root),
        prependdir="/",
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    if not compiled:
        raise LayerError("a module could not be compiled; see above")


def settle(layer: Layer) -> None:
    """Give every file the same time and owner."""
    for path in (layer.root, *layer.root.rglob("*")):
        os.chown(path, 0, 0, follow_symlinks=False)
        os.utime(path, (MODIFIED, MODIFIED), follow_symlinks=False)


def system(root: Path) -> None:
    """Fill the layer of the operating system and Python."""
    layer = Layer(root)
    for name in ("bin", "lib", "lib64", "sbin"):
        if Path("/", name).is_symlink():
            layer.inside(Path("/", name)).symlink_to(Path("/", name).readlink())
    stdlib = Path(sysconfig.get_path("stdlib"))
    layer.add(Path(sys.executable))
    layer.add(stdlib, LEFT_OUT)
    needed = libraries([Path(sys.executable), *loadable(layer.inside(stdlib))])
    for path in (*map(Path, SYSTEM), *named_libraries(LIBRARIES), *needed):
        layer.add(path)
    layer.write("/etc/passwd", PASSWD)
    layer.write("/etc/group", GROUP)
    layer.write("/etc/nsswitch.conf", NSSWITCH)
    layer.inside(Path("/tmp")).mkdir()
    layer.inside(Path("/tmp")).chmod(0o1777)  # mkdir heeds the umask
    layer.inside(Path("/srv")).mkdir()
    subprocess.run(["/sbin/ldconfig", "-r", str(root)], check=True)
    shutil.rmtree(layer.inside(Path("/var/cache")), ignore_errors=True)
    record_packages(layer)
    compile_bytecode(layer)
    settle(layer)


def packages(root: Path, below: Path, folder: Path) -> None:
    """Fill the layer of installed packages."""
    for script in (folder / "bin").iterdir():
        # What other packages bring for people at a keyboard: a server starts none of it.
        if not script.name.startswith("python"):
            script.unlink()
    layer = Layer(root, below)
    layer.add(folder, frozenset({"__pycache__"}))
    bundled = {path.name for path in loadable(folder)}
    for path in libraries(loadable(folder)):
        if path.name not in bundled:
            layer.add(path)
    record_packages(layer)
    compile_bytecode(layer)
    settle(layer)


def application(root: Path, *commands: Path) -> None:
    """Finish the layer that our own distribution was installed into.

    Args:
        root: The layer.
        commands: Those of the distribution that the image can run: it has not what others need.
    """
    layer = Layer(root)
    for command in root.glob("opt/*/bin/*"):
        if command.name not in {each.name for each in commands}:
            command.unlink()
    compile_bytecode(layer)
    settle(layer)


def main(command: str, *folders: str) -> None:
    """Run one of the commands above."""
    commands: Mapping[str, Callable[..., None]] = {
        "system": system,
        "packages": packages,
        "application": application,
    }
    commands[command](*map(Path, folders))


if __name__ == "__main__":
    main(*sys.argv[1:])
