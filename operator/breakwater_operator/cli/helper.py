"""`breakwater-child` on this machine: the parent of commands, as in a pod."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from breakwater_operator.api.errors import BreakwaterError
from breakwater_operator.render.containers import HELPER

SOURCES = (
    Path(__file__).with_name(f"{HELPER}.c"),
    Path(__file__).parents[3] / "runtime" / "child" / f"{HELPER}.c",
)
"""Where its source is: beside this module where we were installed, else in the checkout."""

COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-O2", "-std=gnu11")


def find(path: str, cache: Path) -> Path:
    """Find it on a path, or compile it once; it needs nothing but the C library.

    Raises:
        BreakwaterError: It is nowhere, and cannot be compiled.
    """
    found = shutil.which(HELPER, path=path)
    if found is not None:
        return Path(found)
    source = next((each for each in SOURCES if each.is_file()), None)
    if source is None:
        raise BreakwaterError(f"{HELPER} is not on the path; install it, or breakwater anew")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    target = cache / f"{HELPER}-{digest}"
    if not target.exists():
        _compile(source, target, path)
    return target


def _compile(source: Path, target: Path, path: str) -> None:
    compiler = next(filter(None, (shutil.which(each, path=path) for each in COMPILERS)), None)
    if compiler is None:
        raise BreakwaterError(
            f"{HELPER}, the parent of commands, has to be compiled once, and no C compiler is "
            f"here (looked for {', '.join(COMPILERS)}); install one (Debian: apt-get install gcc "
            f"libc6-dev), or put {HELPER} of the runtime's image on the path"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / HELPER
        done = subprocess.run(
            [compiler, *FLAGS, "-o", str(made), str(source)],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
            raise BreakwaterError(f"{compiler} does not compile {source}: {last[0]}")
        # In one step: another run may be looking for it.
        made.replace(target)
