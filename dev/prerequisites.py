"""Programs of the operating system that development needs: found, installed, or all named at once.

For everything under dev/: say what is needed as `Program`s and call `require`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dev.cluster.files import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where programs for root lie; they are often missing from PATH."""


@dataclass(frozen=True)
class Program:
    """A program, or a file by its whole path, and the Debian package that brings it."""

    command: str
    package: str


C_COMPILER = (Program("gcc", "gcc"), Program("/usr/include/stdlib.h", "libc6-dev"))
"""What compiles C; the package of the compiler only recommends the headers of the C library."""

INSTALLING = Path("/run/breakwater-apt.lock")
PATIENT = ("-o", "DPkg::Lock::Timeout=300")
"""How long others may hold the lock of packages: what installs updates when a machine starts."""


class MissingProgramsError(Exception):
    """Programs are missing and cannot be installed from here."""


def find(command: str) -> str | None:
    """Return the path of a program, also where only root looks for it, or of a file."""
    if command.startswith("/"):
        return command if Path(command).is_file() else None
    return shutil.which(command) or shutil.which(command, path=os.pathsep.join(SYSTEM_FOLDERS))


def require(
    programs: Iterable[Program],
    *,
    look: Callable[[str], str | None] = find,
    install: Callable[[Sequence[str]], None] | None = None,
) -> None:
    """Make sure that programs are there; with root on Debian, install what is missing.

    Raises:
        MissingProgramsError: Some are missing; the message names all of them.
    """
    missing = [program for program in programs if look(program.command) is None]
    if missing and install is None and can_install():
        install = apt_install
    if missing and install is not None:
        install(sorted({program.package for program in missing}))
        missing = [program for program in missing if look(program.command) is None]
    if missing:
        raise MissingProgramsError(message(missing))


def message(missing: Sequence[Program]) -> str:
    """Say what is missing and how to get it."""
    commands = ", ".join(sorted(program.command for program in missing))
    packages = " ".join(sorted({program.package for program in missing}))
    return (
        f"not found: {commands}\n"
        f"On Debian or Ubuntu: sudo apt-get install --no-install-recommends {packages}\n"
        "Elsewhere, install the packages that bring these programs; as root on Debian they are "
        "installed without asking."
    )


def can_install() -> bool:
    """Say whether this is root on a system with apt."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(packages: Sequence[str], lock: Path = INSTALLING) -> None:
    """Install packages; the lists are fetched anew only where the known ones do not suffice.

    Whoever does the same at that time is waited for: apt itself has locks that it does not wait
    for.
    """
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *PATIENT, "--quiet"]
    install = [*apt, "install", "--yes", "--no-install-recommends", *packages]
    with locked(lock):
        if not any(Path("/var/lib/apt/lists").glob("*_Packages*")) or _fails(install):
            _fails([*apt, "update"])
            _fails(install)


def _fails(command: Sequence[str]) -> bool:
    # Standard output belongs to the caller's own answer.
    return subprocess.run(command, check=False, stdout=2).returncode != 0
