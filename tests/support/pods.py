"""Processes of one server on loopback, which stand for its pods: different ports for addresses."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import httpx2

from breakwater_operator.api.models import McpServer
from breakwater_operator.render import ring
from tests.support.python_path import python_path

BOUND_SECONDS = 180
"""How long anything may take on a busy machine; never what a test is about."""

KEYS = {"alice": "alice-key-0123456789", "bob": "bob-key-0123456789"}
Versions = tuple[int, int]

UID = "5c1f9f0a-9f5b-4e0e-a1d5-a0f2f2f4c001"

MOUNTED = "internal"

LAUNCHER = """
import sys
from breakwater_contract import names
open_seconds, oldest, newest, *argv = sys.argv[1:]
if int(newest):
    names.FORWARD_OLDEST, names.FORWARD_VERSION = int(oldest), int(newest)
from breakwater_runtime.main import run
sys.exit(run(argv, open_seconds=float(open_seconds)))
"""


@dataclass
class Pod:
    """One process, and where it listens."""

    name: str
    folder: Path
    ports: tuple[int, int, int]
    process: subprocess.Popen[bytes]

    @property
    def public(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def wait_until_ready(self) -> None:
        end = time.monotonic() + BOUND_SECONDS
        while not self._answers_ready():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < end, self.log
            time.sleep(0.05)

    def _answers_ready(self) -> bool:
        try:
            return httpx2.get(f"http://127.0.0.1:{self.ports[1]}/ready").status_code == 200
        except httpx2.TransportError:
            return False

    def metrics(self) -> dict[str, float]:
        """Get every sample by its name and labels, as Prometheus writes them."""
        text = httpx2.get(f"http://127.0.0.1:{self.ports[1]}/metrics").text
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def mount(self, shared: Path) -> None:
        """Have it find other files where it looks for what the pods share, all at once."""
        swapped = self.folder / "swapped"
        swapped.symlink_to(shared)
        swapped.replace(self.folder / MOUNTED)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def wait(self) -> int:
        return self.process.wait(BOUND_SECONDS)


@dataclass
class Pods:
    """All pods of the server."""

    shared: Path
    all: list[Pod] = field(default_factory=list)

    def __getitem__(self, number: int) -> Pod:
        return self.all[number]


def server(uid: str = UID) -> McpServer:
    """Make the McpServer whose pods they are."""
    spec = {"backends": [{"python": {"server": "shared:mcp"}}]}
    metadata = {"name": "shared", "namespace": "team-a", "uid": uid}
    return McpServer.parse({"metadata": metadata, "spec": spec})


def first_ring(age: timedelta = timedelta()) -> ring.Ring:
    """Make the first key ring and certificate of the server, so long ago."""
    now = datetime.now(UTC)  # noqa: TID251 - OpenSSL looks at the real clock
    return ring.first(server(), now - age, bytes(ring.FRESH_BYTES))


def share(folder: Path, what: ring.Ring | None = None) -> None:
    """Write what the operator puts into the Secret that all pods mount."""
    folder.mkdir(exist_ok=True)
    for name, content in (what or first_ring()).files().items():
        (folder / name).write_bytes(content)


@contextmanager
def running(
    folder: Path,
    module: str,
    count: int = 3,
    *,
    drain: str = "20s",
    open_seconds: float = 1.0,
    limits: dict[str, Any] | None = None,
    versions: Sequence[Versions] = (),
    are_homes: bool = False,
) -> Iterator[Pods]:
    """Run so many pods that serve `mcp` of a module with this text, until the end of the block.

    Args:
        folder: For all that they need.
        module: The text of the module.
        count: How many.
        drain: How long each may take to drain.
        open_seconds: How long each still takes connections then.
        limits: The limits of the live settings.
        versions: Of the forward protocol, oldest and newest of each pod; ours where none is said.
        are_homes: Whether each principal has one of them as its home.
    """
    shared = folder / "internal"
    share(shared)
    (folder / "shared.py").write_text(module)
    (folder / "keys").mkdir()
    for principal, key in KEYS.items():
        (folder / "keys" / principal).write_text(key)
    pods = Pods(shared)
    with ExitStack() as stack:
        reserved = [stack.enter_context(_reserved()) for _ in range(count)]
        peers = [f"127.0.0.1:{internal}" for _, _, internal in reserved] if are_homes else []
        spoken_by = chain(versions, repeat((0, 0)))
        for number, (ports, spoken) in enumerate(zip(reserved, spoken_by, strict=False)):
            settings = {
                "server": {"name": "shared", "uid": UID},
                "backends": [{"python": {"server": "shared:mcp"}}],
                "listen": {
                    "publicPort": ports[0],
                    "managementPort": ports[1],
                    "internalPort": ports[2],
                },
                "internal": {"directory": MOUNTED, "peers": peers},
                "drain": drain,
                "live": {"keysDirectory": str(folder / "keys"), "limits": limits or {}},
            }
            pods.all.append(
                stack.enter_context(_pod(pods, number, ports, settings, (open_seconds, *spoken)))
            )
        for pod in pods.all:
            pod.wait_until_ready()
        yield pods


@contextmanager
def _pod(
    pods: Pods,
    number: int,
    ports: tuple[int, int, int],
    settings: dict[str, Any],
    launch: tuple[float, ...],
) -> Iterator[Pod]:
    folder = pods.shared.parent
    own = folder / f"pod-{number}"
    own.mkdir()
    (own / MOUNTED).symlink_to(pods.shared)
    (own / "config.json").write_text(json.dumps(settings))
    with (own / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", LAUNCHER, *map(str, launch)),
                *("--config", str(own / "config.json")),
                *("--pod-uid", f"pod-{number}", "--pod-address", "127.0.0.1"),
            ],
            env={"PATH": os.defpath, "PYTHONPATH": python_path(folder)},
            stderr=log,
            stdout=log,
        )
    try:
        yield Pod(f"pod-{number}", own, ports, process)
    finally:
        process.kill()
        process.wait()


@contextmanager
def _reserved() -> Iterator[tuple[int, int, int]]:
    """Reserve ports: bound and not listening, so that the runtime and nobody else gets them."""
    with ExitStack() as stack:
        found = []
        for _ in range(3):
            each = stack.enter_context(socket.socket())
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind(("127.0.0.1", 0))
            found.append(each.getsockname()[1])
        yield found[0], found[1], found[2]
