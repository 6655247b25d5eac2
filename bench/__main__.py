"""`python -m bench [SUITE...]`: run suites and write the page of their results."""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from bench import machine, pages
from bench.processes import ProcessError
from bench.report import Options
from bench.wrk import LoadError
from dev.prerequisites import MissingProgramsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.report import Report

ROOT = Path(__file__).resolve().parent.parent
PAGE = Path("docs/reference/benchmarks.md")
PAGES = {"scale": Path("docs/reference/scale.md"), "linear": Path("docs/proofs/scale.md")}
"""Suites with a page of their own."""
BUILD = Path("build/bench")

SUITES = {
    "runtime": "bench.runtime",
    "cluster": "bench.cluster_report",
    "scale": "bench.scale",
    "linear": "bench.linear",
}
"""Each module has `measure(options: Options) -> Report`."""

ON_REQUEST = {"linear"}
"""What takes hours, and is measured when it is asked for by name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 where a bound does not hold, 2 where nothing could be measured."""
    arguments = _arguments(argv)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    all_hold = True
    # Before the first suite: from then on it is we who keep the machine busy.
    words = machine.words()
    print(words)
    for suite in arguments.suites or [name for name in SUITES if name not in ON_REQUEST]:
        kept = PAGES.get(suite, PAGE)
        try:
            options = Options(quick=arguments.quick, servers=arguments.servers)
            report: Report = import_module(SUITES[suite]).measure(options)
        except (LoadError, MissingProgramsError, ProcessError) as error:
            print(f"bench {suite}: {error}", file=sys.stderr)
            return 2
        is_kept = not arguments.quick and report.stopped is None
        name = suite if suite in PAGES else PAGE.stem
        page = ROOT / (kept if is_kept else BUILD / f"{name}.md")
        ending = "" if is_kept else "-quick" if arguments.quick else "-part"
        raw = ROOT / BUILD / f"{suite}{ending}.json"
        _write(page, suite, report, words, raw=raw)
        all_hold &= all(row.is_met is not False for row in report.rows)
        print(f"written: {page.relative_to(ROOT)}")
        if report.stopped is not None:
            print(f"bench {suite}: not all was measured: {report.stopped}", file=sys.stderr)
            return 2
    return 0 if all_hold or arguments.quick else 1


def _interrupted(*_: object) -> None:
    # Once is enough: a second one would end the cleaning up, and leave a cluster behind.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(1)


def _write(page: Path, suite: str, report: Report, words: str, *, raw: Path) -> None:
    date = datetime.now(UTC).date().isoformat()  # noqa: TID251 - main is where time comes in
    section = pages.section(report, date=date, machine=words)
    print(f"\n{section}")
    raw.parent.mkdir(parents=True, exist_ok=True)
    content = {"date": date, "machine": words, **dataclasses.asdict(report)}
    raw.write_text(json.dumps(content, indent=1) + "\n")
    page.parent.mkdir(parents=True, exist_ok=True)
    before = page.read_text() if page.exists() else ""
    page.write_text(pages.replace(before, suite, section))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("bench", description="Measure what must be fast.")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of: {', '.join(SUITES)}")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"about a minute per suite, to see that all works; written below {BUILD} only",
    )
    parser.add_argument(
        "--servers", type=int, help="McpServers of the suite `scale`, or at most of `linear`"
    )
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.suites) - set(SUITES):
        parser.error(f"no such suite: {', '.join(sorted(unknown))}; there are: {', '.join(SUITES)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
