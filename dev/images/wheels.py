"""Everything a build needs from a package registry, fetched before the build."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from dev.images.cache import digest, made_once
from dev.images.target import GLIBC, PYTHON, ROOT, ImageError, machine, version
from dev.wheel_hook import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def environment() -> Mapping[str, str]:
    """Describe the image's Python to markers, whatever Python this program runs on."""
    number = ".".join(map(str, PYTHON))
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{number}.0",
        "os_name": "posix",
        "platform_machine": machine(),
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{number}.0",
        "python_version": number,
        "sys_platform": "linux",
    }


def wanted(lock: str, markers: Mapping[str, str]) -> Iterator[str]:
    """Yield the entries of a lock that an environment needs: name, version and hashes."""
    for entry in re.split(r"\n(?=\S)", lock.strip()):
        requirement, *hashes = re.split(r"\s*\\\n\s*", entry)
        parsed = Requirement(requirement)
        if parsed.marker is None or parsed.marker.evaluate(dict(markers)):
            yield " ".join([f"{parsed.name}{parsed.specifier}", *hashes])


def platforms() -> Iterator[str]:
    """Yield the platforms whose wheels run in the image, the best first."""
    for minor in range(GLIBC, 4, -1):
        yield f"manylinux_2_{minor}_{machine()}"
    yield f"manylinux2014_{machine()}"


def download(cache: Path, lock: Path) -> Path:
    """Return a folder with the wheels that a lock names, downloading them if need be.

    Raises:
        ImageError: The package registry does not have them, or cannot be reached.
    """
    text = "\n".join(wanted(lock.read_text(), environment())) + "\n"
    with made_once(cache / "wheels" / digest(text, *platforms(), str(PYTHON))) as folder:
        if folder is not None:
            requirements = folder.with_suffix(".txt")
            requirements.write_text(text)
            _pip_download(requirements, folder)
            requirements.unlink()
    return cache / "wheels" / digest(text, *platforms(), str(PYTHON))


def _pip_download(requirements: Path, folder: Path) -> None:
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"),
        *("--only-binary=:all:", "--python-version", ".".join(map(str, PYTHON))),
        *(part for name in platforms() for part in ("--platform", name)),
        *("--requirement", str(requirements), "--dest", str(folder)),
    ]
    if subprocess.run(command, check=False, stdout=sys.stderr).returncode != 0:
        raise ImageError(
            "the wheels of the lock could not be downloaded; see pip's message above. Its "
            "settings (index, proxy, certificates) come from pip.conf and PIP_* variables"
        )


def own(folder: Path, libraries: Path | None = None) -> Path:
    """Build our own distribution as a wheel; the same sources give the same bytes.

    Args:
        folder: where the wheel is written.
        libraries: what `dev.compiled` made; None: the wheel is plain Python.

    Raises:
        ImageError: The build failed.
    """
    command = [
        *("env", f"{VARIABLE}={libraries or ''}"),
        *(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)),
    ]
    done = subprocess.run(command, cwd=ROOT, check=False, text=True, capture_output=True)
    if done.returncode != 0:
        raise ImageError(f"the wheel could not be built: {done.stderr.strip()}")
    (wheel,) = folder.glob(f"mcp_breakwater-{version()}-*.whl")
    return wheel


def why_not_compiled() -> str | None:
    """Say why what is compiled here would not run in the image; None: it does."""
    if sys.platform != "linux" or sys.implementation.name != "cpython":
        return "this machine's Python is not CPython on Linux"
    if sys.version_info[:2] != PYTHON:
        wanted = ".".join(map(str, PYTHON))
        return f"the image has Python {wanted}, and this is {platform.python_version()}"
    library, found = platform.libc_ver()
    if library != "glibc" or int(found.split(".")[1]) > GLIBC:
        return f"the image has glibc 2.{GLIBC}, and this machine {library or 'no glibc'} {found}"
    return None
