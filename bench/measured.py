"""Everything that one run of the runtime suite measured, and how cases are found in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import peers
from bench.spread import spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bench.forwarding import Hop
    from bench.gateway import Overhead
    from bench.load import Case, Sample
    from bench.peers import Peer
    from bench.policies import Found
    from bench.spread import Spread
    from bench.stdio import Bridged
    from bench.streams import Idle
    from bench.sustained import Sustained


SAME_WIRE_PEERS = (
    peers.SDK_JSON,
    peers.SDK,
    peers.SDK_STATELESS_JSON,
    peers.SDK_STATELESS,
)
"""Where the peer on the same wire is looked for, first come first served."""


@dataclass(frozen=True, eq=False)
class Series:
    """The rounds of one case."""

    case: Case
    connections: int
    samples: list[Sample]

    def spread(self, of: Callable[[Sample], float]) -> Spread:
        """Summarise one number of the rounds."""
        return spread(map(of, self.samples))

    def ratio(self, other: Series, of: Callable[[Sample], float]) -> float:
        """Compare with another case, round by round."""
        pairs = zip(self.samples, other.samples, strict=True)
        return spread(of(mine) / of(theirs) for mine, theirs in pairs).median


@dataclass(frozen=True, eq=False)
class Measured:
    """Everything that one run measured."""

    calls: Sequence[Series]
    latency: Sequence[Series]
    idle: Sequence[tuple[Peer, Idle]]
    sustained: Sustained
    hop: Hop
    stdio: Sequence[Bridged]
    gateway: Sequence[Overhead]
    policies: Found
    ready_seconds: Sequence[float]
    plain_ready_seconds: Sequence[float]
    import_seconds: Sequence[float]
    peers: Sequence[Peer]


def cpu(sample: Sample) -> float:
    return sample.per_cpu_second


def p99(sample: Sample) -> float:
    return sample.p99_ms


def find(
    series: Iterable[Series],
    name: str,
    era: str,
    tool: str = "echo",
    connections: int | None = None,
) -> Series | None:
    """Get the rounds of one server, era and tool."""
    return next(
        (
            one
            for one in series
            if (one.case.peer.name, one.case.era, one.case.tool) == (name, era, tool)
            and connections in {None, one.connections}
        ),
        None,
    )


def same_wire(series: Sequence[Series], ours: Series) -> Series | None:
    """Get MCPServer's rounds with the same tool on the same wire."""
    candidates = (find(series, name, ours.case.era, ours.case.tool) for name in SAME_WIRE_PEERS)
    return next((one for one in candidates if one and one.case.wire == ours.case.wire), None)
