"""What was measured about the runtime, for readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.pages import number, spread_text
from bench.report import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.load import Sample
    from bench.peers import Peer
    from bench.streams import Idle

from bench.measured import Series, cpu, p99, same_wire


def calls_table(series: Sequence[Series]) -> Table:
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
        spread_text(one.spread(cpu)),
        number(one.ratio(peer, cpu)) if peer else "",
        number(one.spread(lambda sample: sample.per_second).median),
        _percentiles(one),
        number(one.spread(lambda sample: sample.rss_mb).maximum),
    ]


def latency_table(series: Sequence[Series]) -> Table:
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
        p99,
    )
    return " / ".join(number(series.spread(each).median) for each in of)


def idle_table(idle: Sequence[tuple[Peer, Idle]]) -> Table:
    return Table(
        "Idle `subscriptions/listen` streams",
        ["server", "streams", "KB each", "CPU, % of a core"],
        [
            [peer.name, str(one.streams), number(one.kilobytes_each), number(one.cpu_percent)]
            for peer, one in idle
        ],
    )


def switched_on(servers: Sequence[Peer]) -> Table:
    return Table(
        "What is switched on", ["server", "on"], [[peer.name, peer.on] for peer in servers]
    )
