"""Independent MCP clients from npm: installed once for each lock file, run by a Node of their own.

The packages and their exact versions are in `tests/clients`. Node comes from there too, since the
conformance suite and the Inspector need a newer one than distributions have.
"""

import asyncio
import functools
import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.cluster.files import locked
from dev.prerequisites import Program, require

SOURCE = Path(__file__).parent.parent / "clients"
MANIFEST = ("package.json", "package-lock.json", ".npmrc")
NODE_MAJOR_MIN = 22
UNFINISHED = ".unfinished-"
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class Answer:
    """What a Node program left behind."""

    code: int
    output: str
    errors: str

    def json(self) -> Any:
        """Read the output as JSON.

        Raises:
            AssertionError: The program failed; the message is what it said.
        """
        assert self.code == 0, f"exit code {self.code}\n{self.errors}\n{self.output}"
        return json.loads(self.output)


@functools.cache
def packages(source: Path = SOURCE) -> Path:
    """Install the packages unless they are there, and return the folder that has node_modules.

    The folder is named by the content of the lock file and whole from the moment it exists; it may
    be deleted at any time.

    Args:
        source: Where the manifest and the lock file are.
    """
    digest = hashlib.sha256(b"".join((source / name).read_bytes() for name in MANIFEST))
    folder = _cache() / digest.hexdigest()[:16]
    if not folder.is_dir():
        with locked(_cache() / ".lock"):
            if not folder.is_dir():
                _install(folder, source)
    return folder


@functools.cache
def node() -> Path:
    """Return a Node that is new enough: the one that was installed, or else the machine's.

    Raises:
        RuntimeError: There is none.
    """
    name = f"node-{platform.system().lower()}-{_MACHINES.get(platform.machine().lower())}"
    installed = packages() / "node_modules" / name / "bin" / "node"
    if installed.is_file():
        return installed
    found = shutil.which("node")
    version = _said(found, "--version") if found else "none"
    if found and int(version.removeprefix("v").partition(".")[0]) >= NODE_MAJOR_MIN:
        return Path(found)
    raise RuntimeError(
        f"Node {NODE_MAJOR_MIN} or later is needed, found {version}: tests/clients brings one for "
        "Linux on x64 and arm64 only; elsewhere install it and put it in PATH"
    )


async def run(
    program: Path | str,
    *arguments: str,
    timeout_seconds: float = 60,
    environment: Mapping[str, str] | None = None,
) -> Answer:
    """Run a program with Node until it ends.

    Args:
        program: A file inside the packages, or the name of a module in `tests/clients`. Such a
            module is run from the packages' folder, so that its imports are found there.
        arguments: What it gets on its command line.
        timeout_seconds: How long it may take.
        environment: What it finds in its environment, besides a home folder of its own.

    Raises:
        TimeoutError: It took longer, and was killed.
    """
    with tempfile.TemporaryDirectory() as home:
        source, command = _command(program)
        process = await asyncio.create_subprocess_exec(
            *(str(node()), *command, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=packages(),
            env={"HOME": home, "PATH": os.defpath, "NO_COLOR": "1", **(environment or {})},
        )
        try:
            async with asyncio.timeout(timeout_seconds):
                output, errors = await process.communicate(source)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    return Answer(process.returncode or 0, output.decode(), errors.decode())


def _command(program: Path | str) -> tuple[bytes, list[str]]:
    """Say what Node reads and which arguments make it read that."""
    if isinstance(program, Path):
        return b"", [str(packages() / "node_modules" / program)]
    # A module on standard input resolves its imports from the working directory, wherever its
    # file lies.
    return (SOURCE / program).read_bytes(), ["--input-type=module", "-"]


def _install(folder: Path, source: Path) -> None:
    require([Program("npm", "npm")])
    for abandoned in _cache().glob(f"{UNFINISHED}*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    unfinished = Path(tempfile.mkdtemp(dir=_cache(), prefix=UNFINISHED))
    try:
        for name in MANIFEST:
            shutil.copy(source / name, unfinished)
        # Scripts are not needed: what they would do is in the lock file or not used.
        command = ["npm", "ci", "--ignore-scripts", "--loglevel=error", "--engine-strict=false"]
        done = subprocess.run(command, cwd=unfinished, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(
                f"`{' '.join(command)}` failed in a copy of {source}:\n{done.stderr}"
            )
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _cache() -> Path:
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))  # noqa: TID251 - tests have no main
    cache = configured if configured.is_absolute() else Path.home() / ".cache"
    folder = cache / "breakwater" / "clients"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
