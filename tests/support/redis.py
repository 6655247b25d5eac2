"""A real Redis on loopback, that tests stop, kill and start again; and its image for a cluster."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dev.cluster.images import write_single_program_archive
from dev.prerequisites import Program, find, require
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUND_SECONDS = 60.0
REDIS = (Program("redis-server", "redis-server"),)
IMAGE = "breakwater.local/redis:1"
LIBRARY = re.compile(r"(/\S+) \(0x")
"""Where a library lies, in what ldd says of a program."""


@dataclass
class RedisServer:
    """One server, in memory alone."""

    port: int
    folder: Path
    options: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it is."""
        return f"localhost:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        command = find("redis-server")
        assert command is not None
        log = self.folder / "redis.log"
        plain = () if "--tls-port" in self.options else ("--port", str(self.port))
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [command, *plain, *self.options, "--bind", "127.0.0.1", "--save", ""],
                cwd=self.folder,
                stdout=output,
                stderr=output,
            )
        end = time.monotonic() + BOUND_SECONDS
        while not self._listens():
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.02)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def kill(self) -> None:
        """End it as a node that fails does: what it knew is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        """Have it take connections and answer nothing."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Have it answer again."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)


@contextmanager
def redis_server(folder: Path, *options: str, tls: bool = False) -> Iterator[RedisServer]:
    """Run a Redis until the end of the block."""
    require(REDIS)
    port = free_port()
    if tls:
        options = (*options, "--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no")
    server = RedisServer(port, folder, options)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def write_image(archive: Path) -> None:
    """Make an image of Debian's Redis, which is this machine's, and of what it loads."""
    require(REDIS)
    program = find("redis-server")
    assert program is not None
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    libraries = [Path(found) for found in LIBRARY.findall(said)]
    write_single_program_archive(archive, Path(program), IMAGE, libraries)
