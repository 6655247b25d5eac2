"""What it costs that a session is in another replica than the one that is asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING

from bench import peers, wires, wrk
from bench.processes import Cores, Server, serving
from bench.wrk import LoadError
from breakwater_operator.api.models import McpServer
from breakwater_operator.render import ring

if TYPE_CHECKING:
    from pathlib import Path

    from bench.peers import Peer

UID = "5c1f9f0a-9f5b-4e0e-a1d5-a0f2f2f4c001"
CONNECTIONS = 16
"""For the processor's time; a single connection would count waking up with it."""


@dataclass(frozen=True, slots=True)
class Hop:
    """What the way through another replica adds to a call."""

    p50_ms: float
    """Median time of a call by the other replica, less that of the same call by the owner."""
    edge_cpu_us: float
    """Processor time of the replica that passes the call on."""


def measure(folder: Path, cores: Cores, *, rounds: int, seconds: int) -> Hop:
    """Run two replicas, and call through the one that has no session.

    Raises:
        LoadError: Calls were not passed on.
    """
    shared = folder / "internal"
    _share(shared)
    edge, owner = (_replica(folder, shared, number) for number in range(2))
    with (
        serving(edge.command, port=edge.port, core=cores.server) as server,
        # Beside the load: the two have two cores in all.
        serving(owner.command, port=owner.port, core=cores.load),
    ):
        session = wires.open_session(owner, sampling={})
        if session is None:
            raise LoadError("the runtime gave no session, so that there is nothing to pass on")
        found = [_round(edge, owner, session, server, number, seconds) for number in range(rounds)]
    return Hop(median(hop.p50_ms for hop in found), median(hop.edge_cpu_us for hop in found))


def _round(edge: Peer, owner: Peer, session: str, server: Server, number: int, seconds: int) -> Hop:
    first_id = 10 ** (wrk.ID_DIGITS - 1) + number * 10_000_000
    through = wires.in_session(edge, "echo", session)
    direct = wires.in_session(owner, "echo", session)
    passed_on = wrk.run(wrk.Load(edge.port, (through,), 1, seconds, first_id))
    at_once = wrk.run(wrk.Load(owner.port, (direct,), 1, seconds, first_id + 1_000_000))
    before = server.cpu_seconds()
    many = wrk.run(wrk.Load(edge.port, (through,), CONNECTIONS, seconds, first_id + 2_000_000))
    cpu = server.cpu_seconds() - before
    return Hop(passed_on.p50_ms - at_once.p50_ms, cpu / many.requests * 1e6)


def _replica(folder: Path, shared: Path, number: int) -> Peer:
    pod = ["--pod-uid", f"pod-{number}", "--pod-address", "127.0.0.1"]
    return peers.ours(
        folder,
        f"replica-{number}",
        *pod,
        server={"name": "bench", "uid": UID},
        internal={"directory": str(shared)},
    )


def _share(folder: Path) -> None:
    """Write what the operator puts into the Secret that all replicas mount."""
    metadata = {"name": "bench", "namespace": "bench", "uid": UID}
    spec = {"backends": [{"python": {"server": peers.OBJECT}}]}
    server = McpServer.parse({"metadata": metadata, "spec": spec})
    now = datetime.now(UTC)  # noqa: TID251 - OpenSSL looks at the real clock
    folder.mkdir()
    for name, content in ring.first(server, now, bytes(32)).files().items():
        (folder / name).write_bytes(content)
