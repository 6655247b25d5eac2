"""How long a local cluster takes to be usable: from nothing, and from what it kept.

`python -m bench.cluster [--rounds N] [--output FILE]` prints a table and, as JSON, every figure.
The binaries have to be built before: what is measured is the start, not the compiler.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dev.cluster.local import LocalCluster
from dev.cluster.provider import Size
from dev.cluster.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured time, and how long it may be."""

    name: str
    milestone: str
    seconds_max: float


FIGURES = (
    Figure(
        name="control plane ready, empty state (/readyz and the first ServiceAccount)",
        milestone="control-plane",
        seconds_max=8,
    ),
    Figure(name="node Ready, empty state", milestone="node", seconds_max=12),
    Figure(name="node Ready, kept state", milestone="node again", seconds_max=4),
    Figure(
        name="everything, DNS and metrics too, empty state", milestone="add-ons", seconds_max=20
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and say by the exit code whether every median is within its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, help="write the JSON here as well")
    options = parser.parse_args(arguments)
    results = measure(options.rounds)
    print(table(results))
    text = json.dumps(results, indent=1)
    if options.output:
        options.output.write_text(text + "\n")
    print(text)
    return 0 if all(result["met"] for result in results) else 1


def measure(rounds: int) -> list[dict[str, object]]:
    """Start a cluster from nothing and again, so many times."""
    samples: dict[str, list[float]] = {figure.milestone: [] for figure in FIGURES}
    for seconds in _rounds(rounds):
        for milestone, taken in samples.items():
            taken.append(round(seconds[milestone], 2))
    return [_result(figure, samples[figure.milestone]) for figure in FIGURES]


def _result(figure: Figure, seconds: list[float]) -> dict[str, object]:
    median = round(statistics.median(seconds), 2)
    return {
        "figure": figure.name,
        "seconds": seconds,
        "median": median,
        "limit": figure.seconds_max,
        "met": median <= figure.seconds_max,
    }


def table(results: Sequence[dict[str, object]]) -> str:
    """Write the figures for people."""
    rows = [f"{'median':>8} {'limit':>6}  figure"]
    for result in results:
        mark = "" if result["met"] else "  MISSED"
        rows.append(f"{result['median']:>7}s {result['limit']:>5}s  {result['figure']}{mark}")
    return "\n".join(rows)


def _rounds(count: int) -> Iterator[dict[str, float]]:
    with tempfile.TemporaryDirectory(prefix="breakwater-bench-") as folder:
        settings = dataclasses.replace(Settings.from_environment(), clusters=Path(folder))
        for _ in range(count):
            cluster = LocalCluster(settings, "bench", size=Size.NODE)
            try:
                cluster.up()
                seconds = dict(cluster.seconds)
                cluster.down(keep_state=True)
                again = LocalCluster(settings, "bench")
                again.up()
                yield {**seconds, "node again": again.seconds["node"]}
            finally:
                cluster.down()


if __name__ == "__main__":
    sys.exit(main())
