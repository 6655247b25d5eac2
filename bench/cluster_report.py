"""How long a local cluster takes to be usable, as a suite."""

from __future__ import annotations

from typing import Any

from bench import cluster
from bench.report import Bound, Options, Report, Row

ROUNDS = 3

TEXT = """\
A cluster of one node is started from nothing, stopped, and started again on what it kept. The
binaries are there already: the start is measured and not the compiler. A figure is the median of
the rounds.
"""


def measure(options: Options) -> Report:
    """Start clusters, and compare with how long they may take."""
    results: list[dict[str, Any]] = cluster.measure(1 if options.quick else ROUNDS)
    return Report("Cluster", TEXT, rows=[row(result) for result in results], raw=results)


def row(result: dict[str, Any]) -> Row:
    """Make a row of one figure."""
    return Row(
        what=result["figure"],
        figure=result["median"],
        unit="s",
        bound=Bound(result["limit"], at_least=False),
    )
