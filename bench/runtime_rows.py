"""What the runtime must be, row by row, with bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import peers
from bench.pages import number
from bench.report import Bound, Row
from bench.spread import spread
from bench.wires import MODERN, OLDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.forwarding import Hop
    from bench.peers import Peer
    from bench.streams import Idle

from bench.measured import Measured, Series, cpu, find, p99, same_wire


def call_rows(series: Sequence[Series]) -> Iterable[Row]:
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
        figure=ours.spread(cpu).median,
        unit="calls per CPU second",
        ratio=ours.ratio(peer, cpu) if peer else None,
        peer=name,
        bound=Bound(at_least, at_least=True, of_ratio=True) if at_least else None,
    )


def latency_rows(series: Sequence[Series]) -> Iterable[Row]:
    for connections, name, bound in (
        (1, peers.FLOOR, Bound(3.0, at_least=False, of_ratio=True)),
        (256, peers.SDK_JSON, Bound(60.0, at_least=False)),
    ):
        ours = find(series, peers.OURS, MODERN, connections=connections)
        peer = find(series, name, MODERN, connections=connections)
        if ours is not None and peer is not None:
            yield Row(
                what=f"p99 of `echo`, {ours.case.wire}, connections: {connections}",
                figure=ours.spread(p99).median,
                unit="ms",
                ratio=ours.ratio(peer, p99),
                peer=name,
                bound=bound,
            )


def idle_rows(idle: Sequence[tuple[Peer, Idle]]) -> Iterable[Row]:
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


def sustained_rows(measured: Measured) -> Iterable[Row]:
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


def observation_rows(series: Sequence[Series]) -> Iterable[Row]:
    """What it costs to be looked at."""
    plain = find(series, peers.OURS, MODERN)
    for name in (peers.OURS_TRACED, peers.OURS_LOGGED):
        observed = find(series, name, MODERN)
        if plain is not None and observed is not None:
            cost = 1e6 / observed.spread(cpu).median - 1e6 / plain.spread(cpu).median
            yield Row(
                what=f"`echo`: {name}",
                figure=observed.spread(cpu).median,
                unit="calls per CPU second",
                ratio=observed.ratio(plain, cpu),
                peer=peers.OURS,
                note=f"{number(cost)} us more for each call",
            )


def forwarding_rows(hop: Hop) -> Iterable[Row]:
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


def start_rows(measured: Measured) -> Iterable[Row]:
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
