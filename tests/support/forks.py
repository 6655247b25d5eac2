"""Operators that begin at once: forked from a process that has imported everything already.

Importing takes seconds of CPU, and sweeps start an operator hundreds of times.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Nursery:
    """A process that forks, and the answers it gives."""

    def __init__(self) -> None:
        """Start it."""
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Fork:
        """Start an operator."""
        asked = {"arguments": list(arguments), "environment": dict(environment), "log": str(log)}
        return Fork(self.ask(asked)["pid"], self)

    def ask(self, asked: Mapping[str, Any]) -> Any:
        """Send one line, read one."""
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())


_nursery: list[Nursery] = []


def nursery() -> Nursery:
    """The one of this process."""
    if not _nursery:
        _nursery.append(Nursery())
    return _nursery[0]


@dataclass
class Fork:
    """A forked process, used like one of subprocess."""

    pid: int
    nursery: Nursery
    returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, below zero the signal that ended it; None while it runs."""
        if self.returncode is None:
            self.returncode = self.nursery.ask({"pid": self.pid})["code"]
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for its end."""
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(self.pid)
            try:
                # Sweeps have more files open than `select` can count.
                ended = select.poll()
                ended.register(handle, select.POLLIN)
                if not ended.poll(timeout * 1000):
                    raise subprocess.TimeoutExpired("the operator", timeout)
            finally:
                os.close(handle)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        """Signal it; nothing happens where it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


def _serve() -> None:
    """Fork as told, until nobody tells any more."""
    from tests.support.operator import main

    codes: dict[int, int | None] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        if "pid" in asked:
            pid = asked["pid"]
            # Two who ask at once are told the same.
            if codes[pid] is None:
                is_over, status = os.waitpid(pid, os.WNOHANG)
                codes[pid] = os.waitstatus_to_exitcode(status) if is_over else None
            said: Any = {"code": codes[pid]}
        elif pid := os.fork():
            codes[pid] = None
            said = {"pid": pid}
        else:
            _live(asked, main)
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
    for pid, code in codes.items():
        if code is None:
            os.kill(pid, signal.SIGKILL)


def _live(asked: dict[str, Any], main: Any) -> None:
    """Be the forked process, to its end."""
    code = 1
    try:
        log = os.open(asked["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for new, old in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(new, old)
        os.environ.update(asked["environment"])  # noqa: TID251 - tests have no main
        code = main(asked["arguments"])
    except BaseException:  # noqa: BLE001 - whatever it is, it ends here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
