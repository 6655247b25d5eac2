"""Packages from npm for examples, fetched before the build by the hashes of their lock."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from dev.images.cache import digest, made_once
from dev.images.target import LOCK, ImageError, machine
from dev.prerequisites import Program, require

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = ("package.json", LOCK)
INSTALL = (
    *("npm", "ci", "--omit=dev", "--ignore-scripts", "--engine-strict=false"),
    *("--loglevel=error", "--no-audit", "--no-fund"),
)


def install(cache: Path, source: Path) -> Path:
    """Return the node_modules of a folder with a lock, installing it if need be.

    Raises:
        ImageError: The package registry does not have what the lock names, or cannot be reached.
    """
    files = [(source / name).read_bytes() for name in MANIFEST]
    final = cache / "npm" / digest(*files, machine())
    with made_once(final) as folder:
        if folder is not None:
            require([Program("npm", "npm")])
            for name in MANIFEST:
                shutil.copy(source / name, folder)
            done = subprocess.run(INSTALL, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                raise ImageError(f"`{' '.join(INSTALL)}` failed for {source}:\n{done.stderr}")
    return final / "node_modules"
