"""Commands behind the real helper: `breakwater-child` is built and started as a container would."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dev.child import build
from tests.support.python_path import python_path

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 10


@dataclass(frozen=True)
class Helper:
    """A helper that runs."""

    process: subprocess.Popen[bytes]
    socket: Path
    work: Path
    log: Path

    def descendants(self) -> list[int]:
        """Name every process below it."""
        return descendants(self.process.pid)


@contextmanager
def helper(
    folder: Path,
    command: Sequence[str],
    *options: str,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Helper]:
    """Run a helper for a command, and see that nothing of it is left in the end."""
    # A path of a socket may have 107 bytes, and pytest's folders are long.
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    socket = Path(f"/tmp/breakwater-{os.getpid()}-{digest}")
    work, log = folder / "work", folder / "child.log"
    work.mkdir(exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [
                str(build()),
                *("--socket", str(socket), "--work", str(work), *options),
                "--",
                *command,
            ],
            cwd=ROOT,
            env={"PYTHONPATH": python_path(ROOT), "PATH": "/usr/bin:/bin", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    running = Helper(process, socket, work, log)
    try:
        until(socket.exists)
        yield running
    finally:
        left = running.descendants()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(SECONDS_MAX)
        finally:
            process.kill()
            process.wait()
            for pid in left:
                until(partial(_gone, pid))
        socket.unlink(missing_ok=True)


def python(module: str, *arguments: str) -> list[str]:
    """Make the command that runs one of our modules."""
    return [sys.executable, "-m", module, *arguments]


def until(condition: Callable[[], object], seconds: float = SECONDS_MAX) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{condition} is not true after {seconds} s")
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Say whether a process is there and has not ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def _gone(pid: int) -> bool:
    return not alive(pid)


def descendants(pid: int) -> list[int]:
    """Name every process below one."""
    found: list[int] = []
    for child in children_of(pid):
        found += [child, *descendants(child)]
    return found


def children_of(pid: int) -> list[int]:
    """Name the processes that one has started."""
    try:
        texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
        return []
    return [int(child) for text in texts for child in text.split()]
