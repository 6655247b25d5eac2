"""Builds `breakwater-child`, the parent of commands in containers: `python -m dev.child [TARGET]`.

It is linked statically, since it runs in images of which nothing is known.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from dev.prerequisites import C_COMPILER, require

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "runtime/child/breakwater-child.c"
FLAGS = ("-static", "-Os", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-s")


def identity() -> bytes:
    """Give everything that decides what it is, but the compiler."""
    return SOURCE.read_bytes() + " ".join(FLAGS).encode()


def build(target: Path | None = None) -> Path:
    """Build it unless it is built already, and say where it is."""
    digest = hashlib.sha256(identity()).hexdigest()[:16]
    target = target or ROOT / "build/child" / digest
    if target.exists():
        return target
    require(C_COMPILER)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Several may build at once: what one of them has finished is there for all.
    descriptor, name = tempfile.mkstemp(dir=target.parent)
    os.close(descriptor)
    subprocess.run(["gcc", *FLAGS, "-o", name, str(SOURCE)], check=True)
    Path(name).chmod(0o755)
    Path(name).replace(target)
    return target


if __name__ == "__main__":
    print(build(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
