"""The page of results: one section per suite, each replaced by the next run of that suite alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.report import Bound, Report, Row, Table
    from bench.spread import Spread

TITLE = """\
# Benchmarks

Written by `make bench`. Ratios are to the peer that was measured in the same run, on the same
machine, in turn with it; compare those rather than figures of different machines.
"""

TITLES = {
    "scale": """\
# Scale

Written by `make bench`. What the operator costs with many McpServers; ratios are to what was
measured in the same run on the same machine. How it does it is in
[How the operator works](../explanation/operator.md).
""",
    "linear": """\
# Ever more McpServers

Written by `python -m bench linear`, which `make prove` runs. Does a server cost the operator the
same, however many others there are?
""",
}
"""How a page begins that belongs to one suite."""


def section(report: Report, *, date: str, machine: str) -> str:
    """Write one suite down."""
    known = ", ".join(f"{name} {number}" for name, number in sorted(report.versions.items()))
    parts = [
        f"## {report.title}",
        report.text.strip(),
        *([f"**Not all was measured: {report.stopped}.**"] if report.stopped else []),
        _grid(
            ["what", "figure", "ratio", "bound", "holds"],
            [_bounded(row) for row in report.rows],
        ),
        *(part for table in report.tables for part in _table(table)),
        f"Measured on {date}: {machine}." + (f" Versions: {known}." if known else ""),
    ]
    return "\n\n".join(parts) + "\n"


def replace(page: str, suite: str, content: str) -> str:
    """Put a suite's section into the page, in place of the one that is there."""
    begin, end = f"<!-- begin {suite} -->", f"<!-- end {suite} -->"
    marked = f"{begin}\n{content}{end}\n"
    pattern = re.compile(f"{re.escape(begin)}\n.*?{re.escape(end)}\n", re.DOTALL)
    if pattern.search(page):
        return pattern.sub(lambda _: marked, page, count=1)
    return f"{page or TITLES.get(suite, TITLE)}\n{marked}"


def number(value: float) -> str:
    """Write a number with the digits that mean something: three, or all before the point."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"


def spread_text(found: Spread) -> str:
    """Write rounds: their median, with the smallest and the largest where they differ."""
    if found.minimum == found.maximum:
        return number(found.median)
    return f"{number(found.median)} ({number(found.minimum)} to {number(found.maximum)})"


def _bounded(row: Row) -> list[str]:
    figure = row.note if row.figure is None else f"{number(row.figure)} {row.unit}".strip()
    if row.figure is not None and row.note:
        figure += f" ({row.note})"
    ratio = "" if row.ratio is None else f"{number(row.ratio)} x {row.peer}".strip()
    holds = {True: "yes", False: "**no**", None: ""}[row.is_met]
    return [row.what, figure, ratio, _bound(row.bound, row.unit), holds]


def _bound(bound: Bound | None, unit: str) -> str:
    if bound is None:
        return ""
    sign = ">=" if bound.at_least else "<="
    return f"{sign} {number(bound.value)} {'x' if bound.of_ratio else unit}".strip()


def _table(table: Table) -> Iterable[str]:
    yield f"### {table.title}"
    if table.text:
        yield table.text.strip()
    yield _grid(table.columns, table.rows)


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
