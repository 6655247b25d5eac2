"""Servers under test: started on a core of their own, watched through /proc, ended by their id."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 30.0
POLL_SECONDS = 0.002
STOP_SECONDS = 5.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
STDERR_CHARACTERS = 2000

STAT_UTIME, STAT_STIME = 11, 12
"""Fields of /proc/PID/stat, counted after the name of the program."""


class ProcessError(Exception):
    """A server did not start, or went away."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core does what."""

    server: int
    load: int

    @classmethod
    def pick(cls) -> Cores:
        """Take the first two that we may use.

        Raises:
            ProcessError: There is one only; load and server would measure each other.
        """
        usable = sorted(os.sched_getaffinity(0))
        if len(usable) < 2:
            raise ProcessError("two cores are needed: one for the server, one for the load")
        return cls(usable[0], usable[1])


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Run this process, and what it starts, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class Server:
    """A process that serves."""

    pid: int
    port: int

    def cpu_seconds(self) -> float:
        """Get what it and its children have used so far, in user and kernel mode."""
        return sum(_ticks(pid) for pid in _tree(self.pid)) / TICKS_PER_SECOND

    def cpu_seconds_of(self, command: Sequence[str]) -> float:
        """Get what those of them have used that run a command, exactly."""
        line = b"".join(part.encode() + b"\0" for part in command)
        same = [pid for pid in _tree(self.pid) if _command_line(pid) == line]
        return sum(map(_ticks, same)) / TICKS_PER_SECOND

    def rss_bytes(self) -> int:
        """Get how much memory of it and its children is resident."""
        pages = (Path(f"/proc/{pid}/statm").read_text().split()[1] for pid in _tree(self.pid))
        return sum(map(int, pages)) * PAGE_BYTES


@contextmanager
def serving(command: Sequence[str], *, port: int, core: int) -> Iterator[Server]:
    """Run a server until it is no longer needed, ready when its port is open.

    Raises:
        ProcessError: It did not open its port.
    """
    with started(command, core=core) as (process, log):
        deadline = time.monotonic() + START_SECONDS
        while not _is_open(port):
            check(process, log, deadline)
            time.sleep(POLL_SECONDS)
        yield Server(process.pid, port)


@contextmanager
def started(command: Sequence[str], *, core: int) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run a program from the root of the repository on one core; end it at the end."""
    with tempfile.NamedTemporaryFile(prefix="breakwater-bench-") as log:
        process = subprocess.Popen(
            ["env", f"PYTHONPATH={ROOT}", "taskset", "--cpu-list", str(core), *command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            yield process, Path(log.name)
        finally:
            _stop(process)


def check(process: subprocess.Popen[bytes], log: Path, deadline: float) -> None:
    """Say why it makes no sense to wait any longer for a process to be ready.

    Raises:
        ProcessError: It ended, or its time is up.
    """
    if process.poll() is not None or time.monotonic() > deadline:
        command = " ".join(map(str, process.args))  # type: ignore[arg-type] # a list here
        raise ProcessError(
            f"not ready: {command}: {log.read_text(errors='replace')[-STDERR_CHARACTERS:]}"
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    # An interrupt, since the runtime stays open for a while after SIGTERM for those in front of it.
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _tree(int(child))


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _ticks(pid: int) -> int:
    # The name of the program comes first and may contain anything, blanks and brackets too.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[STAT_UTIME]) + int(fields[STAT_STIME])
