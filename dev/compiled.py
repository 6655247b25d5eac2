"""Compiles the hot path of the runtime by mypyc: `python -m dev.compiled`.

The sources stay plain Python, and run as such everywhere but in images and benchmarks.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from dev.cluster.files import locked
from dev.prerequisites import C_COMPILER, Program, require

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
SOURCES = (ROOT / "contract/breakwater_contract", ROOT / "runtime/breakwater_runtime")
"""What a compiled module can know the types of, and so depends on."""

PACKAGE = "breakwater_runtime"
HEADERS = str(Path(sysconfig.get_path("include"), "Python.h"))
COMPILER = (*C_COMPILER, Program(HEADERS, "python3-dev"))

HOT = {
    "backends": ("encoding", "nowhere"),
    "backends/gateway": ("listening",),
    "backends/python": ("backend", "envelopes", "results", "tools"),
    "calls": ("requests",),
    "http": (
        "addresses",
        "answer_headers",
        "authentication",
        "body_limit",
        "connection",
        "cors",
        "endpoints",
        "exchange",
        "failures",
        "host",
        "https",
        "in_flight",
        "keys",
        "limits",
        "oauth_metadata",
        "origin",
        "pipeline",
        "port",
        "rate",
        "rate_limit",
        "request_metrics",
        "scopes",
        "url_credentials",
    ),
    "observability": ("series",),
    "protocol": (
        "body",
        "callers",
        "conversation",
        "dispatch",
        "eras",
        "forwarding",
        "framing",
        "headers",
        "json_rpc",
        "listeners",
        "patience",
        "peers",
        "reply",
        "session_ids",
        "session_reply",
        "streamable_http",
        "streams",
        "ticker",
        "upstream",
    ),
    "protocol/plain": ("reply",),
    "tools": (
        "bounds",
        "deadlines",
        "gate",
        "guarded",
        "policy",
        "policy_check",
        "shaped",
        "shaping",
        "watch",
    ),
}
"""What every call goes through, but for modules that mypyc 2.4 does not take: those with Protocols,
which fail when they are imported, and those with asynchronous generators."""

MODULES = tuple(f"{folder}/{name}" for folder, names in HOT.items() for name in names)

SETUP = """
from mypyc.build import mypycify
from setuptools import setup

modules = mypycify(
    ["--config-file=mypy.ini", *{modules!r}],
    opt_level="2",
    debug_level="0",
    group_name={group!r},
)
setup(name={group!r}, packages=[], py_modules=[], ext_modules=modules)
"""

MYPY = """
[mypy]
python_version = 3.11
mypy_path = {contract}
ignore_missing_imports = True
"""


class CompileError(Exception):
    """The runtime cannot be compiled here; the message says why."""


def digest() -> str:
    """Name what comes out by everything that goes in."""
    made = hashlib.sha256()
    for part in (version("mypy"), sys.version, platform.machine()):
        made.update(part.encode() + b"\0")
    for path in (Path(__file__), *_sources()):
        made.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return made.hexdigest()[:16]


def build() -> Path:
    """Compile unless it is done already; return a folder for the path of Python.

    The package in it is whole: each module as Python, and those that are compiled beside it.

    Raises:
        CompileError: A module is not what mypyc takes.
        MissingProgramsError: There is no compiler, or there are no headers.
    """
    final = ROOT / "build/compiled" / digest()
    if final.is_dir():
        return final
    require(COMPILER)
    # Several may want it at once, as tests do that run side by side: one of them compiles.
    with locked(final.parent / f".{final.name}.lock"):
        if not final.is_dir():
            _build(final)
    return final


def _build(final: Path) -> None:
    with tempfile.TemporaryDirectory(dir=final.parent) as name:
        folder = Path(name, "made")
        shutil.copytree(SOURCES[1], folder / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
        _compile(folder)
        folder.rename(final)


def libraries(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield what was compiled, and the path below the packages at which Python finds it."""
    for path in sorted(folder.rglob("*.so")):
        yield path, str(path.relative_to(folder))


def _sources() -> Iterator[Path]:
    for folder in SOURCES:
        yield from sorted(folder.rglob("*.py"))


def _compile(folder: Path) -> None:
    modules = [f"{PACKAGE}/{module}.py" for module in MODULES]
    (folder / "setup.py").write_text(SETUP.format(modules=modules, group=PACKAGE))
    (folder / "mypy.ini").write_text(MYPY.format(contract=SOURCES[0].parent))
    command = (sys.executable, "setup.py", "--quiet", "build_ext", "--inplace")
    # Nothing of where it is compiled gets into what comes out, and no order that changes.
    same = ("PYTHONHASHSEED=0", f"CFLAGS=-g0 -ffile-prefix-map={folder}=.")
    done = subprocess.run(
        ["env", *same, *command],
        cwd=folder,
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode != 0:
        raise CompileError(f"mypyc does not take the runtime as it is:\n{done.stdout[-4000:]}")
    shutil.rmtree(folder / "build")
    shutil.rmtree(folder / ".mypy_cache")
    for name in ("setup.py", "mypy.ini"):
        (folder / name).unlink()


if __name__ == "__main__":
    print(build())
