"""What was measured about the runtime, as rows with bounds and tables for readers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from bench import gateway_report, peers, stdio_report
from bench.pages import number, spread_text
from bench.report import Bound, Report, Row, Table
from bench.spread import spread
from bench.wires import MODERN, OLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bench.forwarding import Hop
    from bench.gateway import Overhead
    from bench.load import Case, Sample
    from bench.peers import Peer
    from bench.policies import Found
    from bench.spread import Spread
    from bench.stdio import Bridged
    from bench.streams import Idle
    from bench.sustained import Sustained

TEXT = """\
Every server runs as a process of its own on one core, the load generator (wrk) on another, over
loopback; each is measured in every round, one after the other. A figure is the median of the
rounds, with the smallest and the largest; a ratio is the median of the ratios of the rounds. Calls
per CPU second are calls by what the server's process used in user and kernel mode. Every call has
an id of its own, and every hundredth answer is checked to be the answer to its call.

Breakwater and MCPServer serve the same object; FastMCP has the same functions. `echo` returns its
text of 16 characters at once, `pause` after a millisecond, `describe` returns structured output,
`steps` reports progress five times before it returns, so that its answer is a stream of events.
"""

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


def report(measured: Measured, versions: Mapping[str, str]) -> Report:
    """Make the report of the suite."""
    return Report(
        title="Runtime",
        text=TEXT + _noise(measured.calls),
        rows=[
            *_call_rows(measured.calls),
            *_observation_rows(measured.calls),
            *_latency_rows(measured.latency),
            *_sustained_rows(measured),
            *_idle_rows(measured.idle),
            *_forwarding_rows(measured.hop),
            *stdio_report.rows(measured.stdio),
            *gateway_report.gateway_rows(measured.gateway),
            *gateway_report.policy_rows(measured.policies),
            *_start_rows(measured),
        ],
        tables=[
            _calls_table(measured.calls),
            _latency_table(measured.latency),
            _idle_table(measured.idle),
            stdio_report.table(measured.stdio),
            _switched_on(measured.peers),
        ],
        versions=versions,
        raw=_raw(measured),
    )


def _noise(series: Sequence[Series]) -> str:
    """Say how far apart rounds are of a server that does the same every time."""
    floor = find(series, peers.FLOOR, MODERN)
    if floor is None:
        return ""
    found = floor.spread(_cpu)
    return (
        f"\nHow noisy the machine was: the fastest round of the constant answer was "
        f"{number(found.maximum / found.minimum)} times as fast as its slowest.\n"
    )


def _cpu(sample: Sample) -> float:
    return sample.per_cpu_second


def _p99(sample: Sample) -> float:
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


def _call_rows(series: Sequence[Series]) -> Iterable[Row]:
    for era, tool, at_least in (
        (MODERN, "echo", 5.0),
        (MODERN, "pause", 4.0),
        (MODERN, "describe", None),
        (OLDER, "echo", None),
        (OLDER, "pause", None),
    ):
        ours = find(series, peers.OURS, era, tool)
        if ours is not None:
            yield _call_row(ours, same_wire(series, ours), "on the same wire", at_least)
    for name, era, at_least in (
        (peers.SDK, OLDER, 12.0),
        (peers.SDK, MODERN, None),
        (peers.FASTMCP_JSON, MODERN, None),
        (peers.FASTMCP, OLDER, None),
    ):
        ours = find(series, peers.OURS, era)
        if ours is not None:
            yield _call_row(ours, find(series, name, era), "", at_least)


def _call_row(ours: Series, peer: Series | None, how: str, at_least: float | None) -> Row:
    name = f"{peer.case.peer.name} {how}".strip() if peer else ""
    return Row(
        what=f"`{ours.case.tool}`, {ours.case.wire}",
        figure=ours.spread(_cpu).median,
        unit="calls per CPU second",
        ratio=ours.ratio(peer, _cpu) if peer else None,
        peer=name,
        bound=Bound(at_least, at_least=True, of_ratio=True) if at_least else None,
    )


def _latency_rows(series: Sequence[Series]) -> Iterable[Row]:
    for connections, name, bound in (
        (1, peers.FLOOR, Bound(3.0, at_least=False, of_ratio=True)),
        (256, peers.SDK_JSON, Bound(60.0, at_least=False)),
    ):
        ours = find(series, peers.OURS, MODERN, connections=connections)
        peer = find(series, name, MODERN, connections=connections)
        if ours is not None and peer is not None:
            yield Row(
                what=f"p99 of `echo`, {ours.case.wire}, connections: {connections}",
                figure=ours.spread(_p99).median,
                unit="ms",
                ratio=ours.ratio(peer, _p99),
                peer=name,
                bound=bound,
            )


def _idle_rows(idle: Sequence[tuple[Peer, Idle]]) -> Iterable[Row]:
    by_name = {peer.name: one for peer, one in idle}
    ours, sdk = by_name[peers.OURS], by_name[peers.SDK]
    yield Row(
        what=f"memory of an idle stream, of {ours.streams}, plain",
        figure=ours.kilobytes_each,
        unit="KB",
        ratio=ours.kilobytes_each / sdk.kilobytes_each,
        peer=peers.SDK,
        bound=Bound(25.0, at_least=False),
    )
    tls = by_name[peers.OURS_TLS]
    yield Row(
        what=f"memory of an idle stream, of {tls.streams}, TLS",
        figure=tls.kilobytes_each,
        unit="KB",
        bound=Bound(70.0, at_least=False),
    )
    yield Row(
        what=f"CPU with {ours.streams} idle streams, their heartbeats included",
        figure=ours.cpu_percent,
        unit="% of a core",
        bound=Bound(0.5, at_least=False),
    )
    yield Row(
        what="streams open at once",
        figure=ours.streams,
        bound=Bound(1000, at_least=True),
        note="opened, and none of them broken off",
    )


def _sustained_rows(measured: Measured) -> Iterable[Row]:
    """What a load test has to show, at a steady pace and not as fast as possible."""
    fast = find(measured.calls, peers.OURS, MODERN)
    if fast is not None:
        yield Row(
            what=f"`echo`, {fast.case.wire}, calls in a second of the clock",
            figure=fast.spread(lambda sample: sample.per_second).median,
            unit="per second",
            bound=Bound(1000, at_least=True),
        )
    many = find(measured.latency, peers.OURS, MODERN, connections=500)
    if many is not None:
        yield Row(
            what=f"p95 of `echo`, {many.case.wire}, connections: 500, as fast as they can",
            figure=many.spread(lambda sample: sample.p95_ms).median,
            unit="ms",
            bound=Bound(100.0, at_least=False),
        )
    found = measured.sustained
    load = f"{found.connections} connections, {number(found.per_second)} calls per second"
    for what, figure in (
        ("first event", found.first_p95_ms),
        ("end of the stream", found.last_p95_ms),
    ):
        yield Row(
            what=f"p95 from a call of `steps` to the {what}: {load}, {found.form}",
            figure=figure,
            unit="ms",
            bound=Bound(100.0, at_least=False),
        )


def _observation_rows(series: Sequence[Series]) -> Iterable[Row]:
    """What it costs to be looked at."""
    plain = find(series, peers.OURS, MODERN)
    for name in (peers.OURS_TRACED, peers.OURS_LOGGED):
        observed = find(series, name, MODERN)
        if plain is not None and observed is not None:
            cost = 1e6 / observed.spread(_cpu).median - 1e6 / plain.spread(_cpu).median
            yield Row(
                what=f"`echo`: {name}",
                figure=observed.spread(_cpu).median,
                unit="calls per CPU second",
                ratio=observed.ratio(plain, _cpu),
                peer=peers.OURS,
                note=f"{number(cost)} us more for each call",
            )


def _forwarding_rows(hop: Hop) -> Iterable[Row]:
    yield Row(
        what="forwarding hop, p50: a call through another replica, less one to the owner",
        figure=hop.p50_ms,
        unit="ms",
        bound=Bound(1.0, at_least=False),
    )
    yield Row(
        what="forwarding hop, processor time of the replica that passes it on, with all its steps",
        figure=hop.edge_cpu_us,
        unit="us",
        bound=Bound(150.0, at_least=False),
    )


def _start_rows(measured: Measured) -> Iterable[Row]:
    yield Row(
        "start to ready without a Python backend",
        spread(measured.plain_ready_seconds).median,
        "s",
        bound=Bound(1.0, at_least=False),
        note="in front of a container; the start of its server over stdio included",
    )
    yield Row("start to ready with a Python backend", spread(measured.ready_seconds).median, "s")
    yield Row(
        "of it, the import of the backend with the SDK",
        spread(measured.import_seconds).median,
        "s",
        note="taken in an interpreter of its own",
    )


def _calls_table(series: Sequence[Series]) -> Table:
    return Table(
        f"Calls at {series[0].connections} connections",
        [
            *("server", "client and answer", "tool", "calls per CPU second"),
            *("x MCPServer, same wire", "calls per second", "p50 / p95 / p99 ms", "RSS MB"),
        ],
        [_calls_line(series, one) for one in series],
    )


def _calls_line(series: Sequence[Series], one: Series) -> list[str]:
    peer = same_wire(series, one)
    return [
        one.case.peer.name,
        one.case.wire,
        one.case.tool,
        spread_text(one.spread(_cpu)),
        number(one.ratio(peer, _cpu)) if peer else "",
        number(one.spread(lambda sample: sample.per_second).median),
        _percentiles(one),
        number(one.spread(lambda sample: sample.rss_mb).maximum),
    ]


def _latency_table(series: Sequence[Series]) -> Table:
    return Table(
        "Times of `echo`, one and many connections",
        ["server", "client and answer", "connections", "p50 / p95 / p99 ms", "calls per second"],
        [
            [
                one.case.peer.name,
                one.case.wire,
                str(one.connections),
                _percentiles(one),
                number(one.spread(lambda sample: sample.per_second).median),
            ]
            for one in series
        ],
    )


def _percentiles(series: Series) -> str:
    of: tuple[Callable[[Sample], float], ...] = (
        lambda sample: sample.p50_ms,
        lambda sample: sample.p95_ms,
        _p99,
    )
    return " / ".join(number(series.spread(each).median) for each in of)


def _idle_table(idle: Sequence[tuple[Peer, Idle]]) -> Table:
    return Table(
        "Idle `subscriptions/listen` streams",
        ["server", "streams", "KB each", "CPU, % of a core"],
        [
            [peer.name, str(one.streams), number(one.kilobytes_each), number(one.cpu_percent)]
            for peer, one in idle
        ],
    )


def _switched_on(servers: Sequence[Peer]) -> Table:
    return Table(
        "What is switched on", ["server", "on"], [[peer.name, peer.on] for peer in servers]
    )


def _raw(measured: Measured) -> dict[str, object]:
    return {
        "calls": [_series_raw(one) for one in measured.calls],
        "latency": [_series_raw(one) for one in measured.latency],
        "idle": [{"server": peer.name, **asdict(one)} for peer, one in measured.idle],
        "sustained": asdict(measured.sustained),
        "hop": asdict(measured.hop),
        "stdio": stdio_report.raw(measured.stdio),
        "gateway": [asdict(each) for each in measured.gateway],
        "policies": asdict(measured.policies),
        "ready_seconds": list(measured.ready_seconds),
        "plain_ready_seconds": list(measured.plain_ready_seconds),
        "import_seconds": list(measured.import_seconds),
    }


def _series_raw(series: Series) -> dict[str, object]:
    case = series.case
    return {
        "server": case.peer.name,
        "wire": case.wire,
        "tool": case.tool,
        "connections": series.connections,
        "samples": [asdict(sample) for sample in series.samples],
    }
