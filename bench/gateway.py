"""What a gateway adds to a call of a remote server, and what thousands of policies cost."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import peers, steady, wires
from bench.processes import POLL_SECONDS, ProcessError, serving
from bench.wrk import LoadError

if TYPE_CHECKING:
    from pathlib import Path

    from bench.peers import Peer
    from bench.processes import Cores

REMOTES = 10
CONNECTIONS = 100
PER_SECOND = 100
TOOL = "echo"
KEY_FILE = "remote-key"
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Overhead:
    """One round: the same calls through the gateway and at the server itself."""

    through_p95_ms: float
    direct_p95_ms: float

    @property
    def added_ms(self) -> float:
        """What the gateway adds."""
        return self.through_p95_ms - self.direct_p95_ms


def measure(folder: Path, cores: Cores, *, rounds: int, seconds: int) -> list[Overhead]:
    """Call remote servers at a steady pace, through a gateway of ten and directly, in turn.

    The ten are one process by ten names: each has connections and a state of its own in the
    gateway, and the machine has two cores.

    Raises:
        LoadError: A call was not answered.
    """
    remote = peers.ours(folder, "gateway-remote")
    names = [f"remote{number}" for number in range(REMOTES)]
    gateway = peers.ours(folder, "gateway", backends=[_backend(name, remote) for name in names])
    (folder / "gateway" / KEY_FILE).write_text(peers.KEY)
    with ExitStack() as stack:
        for peer in (remote, gateway):
            stack.enter_context(serving(peer.command, port=peer.port, core=cores.server))
        direct = wires.modern(remote, TOOL)
        through = [wires.modern(gateway, f"{name}_{TOOL}")[0] for name in names]
        for request in (*direct, *through):
            _until_answered(gateway if request in through else remote, request)
        return [_round(gateway, through, remote, direct, seconds) for _ in range(rounds)]


def _backend(name: str, remote: Peer) -> dict[str, object]:
    reached = {
        "url": f"http://127.0.0.1:{remote.port}/mcp",
        "insecurePlainHttp": True,
        "addresses": ["127.0.0.1"],
        "credential": {"file": KEY_FILE, "header": "X-API-Key", "scheme": ""},
    }
    return {"name": name, "remote": reached}


def _until_answered(peer: Peer, request: str) -> None:
    """Wait until a server, and what is behind it, answers a call."""
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            steady.seconds_of(peer.port, [request], connections=1, per_second=100, seconds=0)
        except (LoadError, OSError) as error:
            if time.monotonic() > end:
                raise ProcessError(f"{peer.name} does not answer: {error}") from error
            time.sleep(POLL_SECONDS)
        else:
            return


def _round(
    gateway: Peer, through: list[str], remote: Peer, direct: tuple[str, ...], seconds: int
) -> Overhead:
    found = [
        steady.percentile(
            steady.seconds_of(
                port, requests, connections=CONNECTIONS, per_second=PER_SECOND, seconds=seconds
            ),
            0.95,
        )
        * 1e3
        for port, requests in ((gateway.port, through), (remote.port, direct))
    ]
    return Overhead(*found)
