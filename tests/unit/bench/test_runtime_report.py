from collections.abc import Sequence

from bench import peers, stdio
from bench.forwarding import Hop
from bench.gateway import Overhead
from bench.load import Case, Sample
from bench.measured import Measured, Series
from bench.peers import Peer
from bench.policies import Found
from bench.report import Report, Row
from bench.runtime_report import report
from bench.stdio import Bridged
from bench.streams import Idle
from bench.sustained import Sustained
from bench.wires import MODERN, OLDER

JSON = f"{MODERN}, JSON"
SESSIONS = f"{OLDER}, sessions, JSON"
EVENTS = f"{OLDER}, sessions, event stream"


def _sample(per_cpu_second: float, p99_ms: float = 1.0) -> Sample:
    return Sample(per_cpu_second, per_cpu_second, 0.1, 0.5, p99_ms, rss_mb=70)


def _series(
    name: str,
    wire: str,
    samples: Sequence[Sample],
    *,
    tool: str = "echo",
    connections: int = 32,
) -> Series:
    peer = Peer(name, ["serve"], 8080, on="all")
    return Series(Case(peer, wire.split(",")[0], tool, (), wire), connections, list(samples))


def _measured() -> Measured:
    ours, sdk, floor = peers.OURS, peers.SDK_JSON, peers.FLOOR
    return Measured(
        calls=[
            _series(peers.SDK, EVENTS, [_sample(1000), _sample(1000), _sample(1000)]),
            # The same wire as ours, too, but looked at only where there is no other.
            _series(peers.SDK, JSON, [_sample(1), _sample(1), _sample(1)]),
            _series(sdk, JSON, [_sample(3000), _sample(1500), _sample(3000)]),
            _series(sdk, SESSIONS, [_sample(2000), _sample(2000), _sample(2000)]),
            _series(ours, JSON, [_sample(15_000), _sample(9000), _sample(18_000)]),
            _series(peers.OURS_TRACED, JSON, [_sample(10_000), _sample(9000), _sample(9000)]),
            _series(ours, SESSIONS, [_sample(13_000), _sample(12_000), _sample(12_000)]),
        ],
        latency=[
            _series(floor, JSON, [_sample(1, p99_ms=0.5)], connections=1),
            _series(ours, JSON, [_sample(1, p99_ms=1.0)], connections=1),
            _series(sdk, JSON, [_sample(1, p99_ms=3000)], connections=256),
            _series(ours, JSON, [_sample(1, p99_ms=75)], connections=256),
        ],
        idle=[
            (Peer(peers.SDK, [], 1, on=""), Idle(1000, 54.0, 0.9)),
            (Peer(ours, [], 1, on=""), Idle(1000, 13.5, 0.2)),
            (Peer(peers.OURS_TLS, [], 1, on=""), Idle(1000, 71.0, 0.2)),
        ],
        sustained=Sustained("text/event-stream", 500, 998.0, 40.0, 101.0),
        hop=Hop(0.4, 120.0),
        stdio=[
            _bridged(stdio.OURS, SESSIONS, [(6000, 1.0), (6000, 2.0), (6000, 1.0)]),
            _bridged(stdio.MCP_PROXY, SESSIONS, [(600, 1.0), (3000, 1.0), (600, 1.0)]),
            _bridged(stdio.SUPERGATEWAY, EVENTS, [(1500, 1.0), (800, 1.0), (1500, 1.0)]),
        ],
        gateway=[Overhead(9.0, 5.0), Overhead(7.0, 6.0), Overhead(12.0, 6.0)],
        policies=Found(1.0, 1001.0, [0.5, 2.1, 0.7]),
        ready_seconds=[2.0, 1.9, 2.1],
        plain_ready_seconds=[1.1, 0.9, 1.0],
        import_seconds=[0.9, 1.0, 1.1],
        peers=[],
    )


def _bridged(name: str, wire: str, found: Sequence[tuple[int, float]]) -> Bridged:
    samples = [stdio.Sample(calls, seconds, 0.25, 1.0, 2.0) for calls, seconds in found]
    return Bridged(Peer(name, ["serve"], 8080, on="all"), wire, samples)


def _row(made: Report, what: str, peer: str = "") -> Row:
    return next(row for row in made.rows if what in row.what and row.peer.startswith(peer))


def test_calls_are_compared_round_by_round_on_the_same_wire() -> None:
    row = _row(report(_measured(), {}), f"`echo`, {JSON}", peers.SDK_JSON)

    # Rounds of 5, 6 and 6: what slowed one round down slowed both.
    assert (row.figure, row.ratio, row.is_met) == (15_000, 6.0, True)


def test_older_clients_are_compared_with_what_they_get_by_default() -> None:
    made = report(_measured(), {})

    assert _row(made, SESSIONS, peers.SDK_JSON).ratio == 6.0
    by_default = _row(made, SESSIONS, peers.SDK)
    assert (by_default.ratio, by_default.is_met) == (12.0, True)


def test_times_are_held_against_the_floor_and_against_a_limit() -> None:
    made = report(_measured(), {})

    one, many = _row(made, "connections: 1", peers.FLOOR), _row(made, "connections: 256")
    assert (one.ratio, one.is_met) == (2.0, True)
    assert (many.figure, many.is_met) == (75, False)


def test_idle_streams_and_the_start_have_their_rows() -> None:
    made = report(_measured(), {})

    memory = _row(made, "idle stream, of 1000, plain")
    start = _row(made, "start to ready without a Python")
    assert (memory.figure, memory.ratio, memory.is_met) == (13.5, 0.25, True)
    assert (start.figure, start.is_met) == (1.0, True)


def test_what_it_costs_to_be_looked_at_is_held_against_the_same_without() -> None:
    row = _row(report(_measured(), {}), peers.OURS_TRACED)

    # Rounds of 10 000 to 15 000, 9000 to 9000 and 9000 to 18 000; 111 us and 67 us a call.
    assert row.ratio == 10_000 / 15_000
    assert row.note.startswith("44.4 us")


def test_streams_under_load_and_the_hop_between_replicas_have_bounds() -> None:
    made = report(_measured(), {})

    assert _row(made, "to the first event").is_met is True
    assert _row(made, "to the end of the stream").is_met is False
    assert _row(made, "forwarding hop, p50").is_met is True
    assert _row(made, "forwarding hop, processor").is_met is True
    assert _row(made, "idle stream, of 1000, TLS").is_met is False
    assert all(row.figure is not None for row in made.rows)


def test_a_child_over_stdio_is_held_against_the_better_bridge_of_each_round() -> None:
    made = report(_measured(), {})

    everything, own = _row(made, "the child included"), _row(made, "without the child")
    # Rounds of 6000 to 1500, 3000 to 3000 and 6000 to 1500.
    assert (everything.figure, everything.ratio, everything.is_met) == (6000, 4.0, True)
    assert (own.figure, own.is_met) == (125.0, True)


def test_a_gateway_and_its_policies_are_held_against_their_bounds() -> None:
    made = report(_measured(), {})

    added = _row(made, "gateway of 10 remote backends")
    assert (added.figure, added.is_met) == (4.0, True)
    assert _row(made, "a decision that is remembered").is_met is True
    assert _row(made, "a decision that is made anew").is_met is False
    slowest = _row(made, "to be in force")
    assert (slowest.figure, slowest.is_met) == (2.1, False)
