"""What it costs to put a server that speaks over its standard streams behind HTTP.

The same lean child is behind the runtime and behind the bridges that people use for that.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from bench import peers, startup, wires, wrk
from bench.load import FIRST_ID, FORMS, IDS_PER_ROUND
from bench.peers import Peer
from bench.processes import ROOT, Server, on_core, serving
from bench.wires import MODERN, OLDER
from tests.support import children, clients
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.processes import Cores

CALLERS = 32
CHILD = ROOT / "tests/support/stdio_server.py"
TOOL = "echo"

ENVIRONMENT = ROOT / "build/bench/bridge"
"""Where mcp-proxy is installed: it wants the SDK's 1.x."""
PACKAGES = ROOT / "bench/bridges"

OURS = "Breakwater, stdio child"
MCP_PROXY = "mcp-proxy"
SUPERGATEWAY = "supergateway, stateful"
PROXY_ON = "nothing; one child for all, uvloop and httptools"
SUPERGATEWAY_ON = "nothing; one session, and so one child, for all callers"
OURS_ON = f"{peers.OURS_ON}; one child for the callers of one principal"


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one bridge."""

    calls: int
    cpu_seconds: float
    """Of everything: the bridge, its helpers and the child."""
    child_cpu_seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_cpu_second(self) -> float:
        """Calls per CPU second of everything."""
        return self.calls / self.cpu_seconds

    @property
    def own_us(self) -> float:
        """Processor time of a call besides the child's, in microseconds."""
        return (self.cpu_seconds - self.child_cpu_seconds) / self.calls * 1e6


@dataclass(frozen=True, eq=False)
class Bridged:
    """The rounds of one bridge, with clients of one era."""

    peer: Peer
    wire: str
    samples: list[Sample]


@dataclass(frozen=True, eq=False)
class _Case:
    bridged: Bridged
    requests: tuple[str, ...]
    servers: Sequence[Server]


def install() -> dict[str, str]:
    """Install the bridges, and get their versions.

    Raises:
        subprocess.CalledProcessError: They cannot be had; uv or npm has said why.
    """
    manifest = clients.packages(PACKAGES) / "node_modules/supergateway/package.json"
    return {
        **peers.install_locked(ENVIRONMENT, "bridge", "mcp-proxy"),
        "supergateway": json.loads(manifest.read_text())["version"],
        "node": _said(str(clients.node()), "--version"),
    }


def measure(folder: Path, cores: Cores, *, rounds: int, seconds: int) -> list[Bridged]:
    """Put the callers on each in turn; the first round is not kept."""
    with ExitStack() as stack:
        helper = stack.enter_context(child(folder, cores))
        ours = front(folder, OURS, helper)
        cases, ids = [], count(FIRST_ID, IDS_PER_ROUND)
        for peer, eras in ((ours, (OLDER, MODERN)), *((each, (OLDER,)) for each in _bridges())):
            server = stack.enter_context(serving(peer.command, port=peer.port, core=cores.server))
            beside = [Server(helper.process.pid, 0)] if peer is ours else []
            if peer is ours:  # its port is open before its backend is there
                children.until(partial(startup.is_ready, ours))
            cases += [_case(peer, era, [server, *beside], next(ids)) for era in eras]
        for number in range(rounds + 1):
            for case in cases:
                sample = _round(case, next(ids), seconds)
                if number:
                    case.bridged.samples.append(sample)
    return [case.bridged for case in cases]


@contextmanager
def child(folder: Path, cores: Cores) -> Iterator[children.Helper]:
    """Run the helper of a container, whose children run beside the server."""
    with ExitStack() as stack:
        with on_core(cores.server):
            running = stack.enter_context(children.helper(folder, _child()))
        yield running


def front(folder: Path, name: str, helper: children.Helper) -> Peer:
    """Make the runtime in front of a container."""
    backend = {"name": "main", "container": {"stdio": {"socket": str(helper.socket)}}}
    return replace(peers.ours(folder, name, backends=[backend]), on=OURS_ON)


def _child() -> list[str]:
    return [sys.executable, "-IS", str(CHILD)]


def _bridges() -> tuple[Peer, Peer]:
    port, other = free_port(), free_port()
    proxy = [str(ENVIRONMENT / "bin/mcp-proxy"), "--port", str(port), "--", *_child()]
    gateway = [
        str(clients.node()),
        str(clients.packages(PACKAGES) / "node_modules/supergateway/dist/index.js"),
        *("--stdio", shlex.join(_child()), "--outputTransport", "streamableHttp", "--stateful"),
        *("--port", str(other), "--logLevel", "none"),
    ]
    return Peer(MCP_PROXY, proxy, port, PROXY_ON), Peer(
        SUPERGATEWAY, gateway, other, SUPERGATEWAY_ON
    )


def _case(peer: Peer, era: str, servers: Sequence[Server], first_id: int) -> _Case:
    # One session, where there are any: bridges start a child for each.
    made = wires.modern(peer, TOOL) if era == MODERN else wires.older(peer, TOOL, sessions=1)
    kind = wires.answer_type(peer, made[0], first_id)
    return _Case(Bridged(peer, f"{era}, {FORMS.get(kind, kind)}", []), made, servers)


def _round(case: _Case, first_id: int, seconds: int) -> Sample:
    load = wrk.Load(case.bridged.peer.port, case.requests, CALLERS, seconds, first_id)
    before, before_child = _used(case.servers)
    try:
        result = wrk.run(load)
    except wrk.LoadError as error:
        raise wrk.LoadError(f"{case.bridged.peer.name}: {error}") from error
    everything, child = _used(case.servers)
    return Sample(
        result.requests, everything - before, child - before_child, result.p50_ms, result.p99_ms
    )


def _used(servers: Sequence[Server]) -> tuple[float, float]:
    everything = sum(server.cpu_seconds() for server in servers)
    return everything, sum(server.cpu_seconds_of(_child()) for server in servers)


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
