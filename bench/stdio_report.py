"""What a server over its standard streams costs behind HTTP, as rows and a table."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from bench import stdio
from bench.pages import number, spread_text
from bench.report import Bound, Row, Table
from bench.spread import spread
from bench.wires import MODERN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.stdio import Bridged


def rows(measured: Sequence[Bridged]) -> Iterable[Row]:
    """Hold ours against the better of the bridges, round by round, and against what it may cost."""
    bridges = [one for one in measured if one.peer.name != stdio.OURS]
    for ours in measured:
        if ours in bridges:
            continue
        what = f"`{stdio.TOOL}` of a child over stdio, {ours.wire}, callers: {stdio.CALLERS}"
        yield Row(
            what=f"{what}: everything, the child included",
            figure=spread(sample.per_cpu_second for sample in ours.samples).median,
            unit="calls per CPU second",
            ratio=_ratio(ours, bridges),
            peer=f"the better of {' and '.join(one.peer.name for one in bridges)}",
            # Of the two eras, the one that the bridges speak too is held against them.
            bound=None if _is_modern(ours) else Bound(2.5, at_least=True, of_ratio=True),
        )
        yield Row(
            what=f"{what}: without the child's own time",
            figure=spread(sample.own_us for sample in ours.samples).median,
            unit="us",
            bound=Bound(150.0, at_least=False),
        )


def table(measured: Sequence[Bridged]) -> Table:
    """Show all of them."""
    return Table(
        "A child over stdio behind HTTP",
        [
            *("server", "client and answer", "calls per CPU second, child included"),
            *("us besides the child", "p50 / p99 ms"),
        ],
        [_line(one) for one in measured],
        f"Callers: {stdio.CALLERS}; one child, the same lean server in Python behind each.",
    )


def raw(measured: Sequence[Bridged]) -> list[dict[str, object]]:
    """Give every sample."""
    return [
        {
            "server": one.peer.name,
            "wire": one.wire,
            "samples": [asdict(sample) for sample in one.samples],
        }
        for one in measured
    ]


def _is_modern(one: Bridged) -> bool:
    return one.wire.startswith(MODERN)


def _ratio(ours: Bridged, bridges: Sequence[Bridged]) -> float:
    rounds = zip(*(one.samples for one in (ours, *bridges)), strict=True)
    return spread(
        mine.per_cpu_second / max(each.per_cpu_second for each in theirs)
        for mine, *theirs in rounds
    ).median


def _line(one: Bridged) -> list[str]:
    p50 = spread(sample.p50_ms for sample in one.samples).median
    p99 = spread(sample.p99_ms for sample in one.samples).median
    return [
        one.peer.name,
        one.wire,
        spread_text(spread(sample.per_cpu_second for sample in one.samples)),
        spread_text(spread(sample.own_us for sample in one.samples)),
        f"{number(p50)} / {number(p99)}",
    ]
