"""The cluster's own processes: found, started and stopped.

Nothing is written down about them. Each carries its cluster, its name and the hash of its
configuration in its environment, so whoever looks finds what really runs, even what was started
the moment before its starter was killed, and never mistakes a recycled process id for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dev.cluster.local import network

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dev.cluster.local.state import Layout

_CLUSTER = "BREAKWATER_CLUSTER_STATE"
_SERVICE = "BREAKWATER_CLUSTER_SERVICE"
_FINGERPRINT = "BREAKWATER_CLUSTER_FINGERPRINT"
_PROC = Path("/proc")
_GONE_SECONDS = 10.0
"""How long a killed process may take to be gone; one in an uninterruptible wait takes longer."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """A program that should run."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    reads: tuple[Path, ...] = ()
    """Files whose change means that it has to be started again."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the running program would be out of date."""
        digest = hashlib.sha256(repr((self.command, sorted(self.environment.items()))).encode())
        for path in self.reads:
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Process:
    """A program that runs."""

    pid: int
    started: int
    """Clock ticks from the machine's start; with the pid it names one process for good."""
    service: str
    fingerprint: str


def running(layout: Layout) -> dict[str, Process]:
    """The services of the cluster that run now, by name."""
    return {process.service: process for process in _marked(layout) if _leads(process.pid)}


def start(layout: Layout, service: Service, environment: Mapping[str, str]) -> None:
    """Start a service in the cluster's network, detached from us, writing to its log."""
    layout.logs.mkdir(parents=True, exist_ok=True)
    marks = {
        _CLUSTER: str(layout.state),
        _SERVICE: service.name,
        _FINGERPRINT: service.fingerprint,
    }
    with (layout.logs / f"{service.name}.log").open("ab") as log:
        # setsid forks and leaves: the service becomes init's child, not ours, so that its end
        # is somebody's business after we are gone.
        subprocess.run(
            ["setsid", "--fork", *network.inside(layout), *service.command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**environment, **service.environment, **marks},
            cwd=layout.state,
            check=True,
        )


def stop(processes: Iterable[Process]) -> None:
    """Kill processes, and wait until they are gone."""
    with contextlib.ExitStack() as stack:
        handles = [_handle(process, stack) for process in processes]
        alive = [handle for handle in handles if handle is not None]
        for handle in alive:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        _await_end(alive)


def leftovers(layout: Layout) -> list[Process]:
    """Everything that still runs because of the cluster, whoever started it.

    That is what carries its mark (its services and their children, such as containerd's shims)
    and what lives in its network (what people started there by hand).
    """
    found = {process.pid: process for process in _marked(layout)}
    with contextlib.suppress(OSError):
        space = layout.namespace_path.stat().st_ino
        for pid in _pids():
            with contextlib.suppress(OSError):
                if (_PROC / str(pid) / "ns/net").stat().st_ino == space:
                    found.setdefault(pid, _unnamed(pid))
    found.pop(os.getpid(), None)
    return list(found.values())


def identify(pids: Iterable[int]) -> list[Process]:
    """Processes for pids from elsewhere (a cgroup), so that they can be stopped safely."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            found.append(_unnamed(pid))
    return found


def _marked(layout: Layout) -> Iterator[Process]:
    mark = f"{_CLUSTER}={layout.state}".encode()
    for pid in _pids():
        with contextlib.suppress(OSError):
            variables = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
            if mark in variables:
                values = dict(v.decode(errors="replace").partition("=")[::2] for v in variables)
                yield Process(
                    pid=pid,
                    started=_started(pid),
                    service=values.get(_SERVICE, ""),
                    fingerprint=values.get(_FINGERPRINT, ""),
                )


def _unnamed(pid: int) -> Process:
    return Process(pid=pid, started=_started(pid), service="", fingerprint="")


def _pids() -> list[int]:
    return [int(entry.name) for entry in os.scandir(_PROC) if entry.name.isdigit()]


def _stat(pid: int) -> list[str]:
    # The name in parentheses may hold anything, also spaces and parentheses.
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _started(pid: int) -> int:
    return int(_stat(pid)[19])


def _leads(pid: int) -> bool:
    # setsid made each service the leader of a session; its children are in the same session.
    with contextlib.suppress(OSError):
        return int(_stat(pid)[3]) == pid
    return False


def _handle(process: Process, stack: contextlib.ExitStack) -> int | None:
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    stack.callback(os.close, handle)
    # The handle stays with one process for good; is it the one that was meant?
    with contextlib.suppress(OSError):
        if _started(process.pid) == process.started:
            return handle
    return None


def _await_end(handles: Iterable[int]) -> None:
    poll = select.poll()
    left = set(handles)
    for handle in left:
        poll.register(handle, select.POLLIN)
    end = time.monotonic() + _GONE_SECONDS
    while left and (rest := end - time.monotonic()) > 0:
        for handle, _ in poll.poll(rest * 1000):
            poll.unregister(handle)
            left.discard(handle)
