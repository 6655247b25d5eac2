"""The figures of the operator with many servers, as rows with their bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.report import Bound, Report, Row, Table
from bench.scale_ground import WRITES
from bench.scale_phases import percentile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.scale import Measured
    from bench.scale_phases import Done

CPU_MS_MAX = 0.8
RAW_RATIO_MAX = 1.2
PASSED_SECONDS_MAX = 3.0
DRIFT_MS_MAX = 250
EDIT_MS_MAX = 500
RSS_MIB_MAX = 220
FLAT_RATIO_MAX = 1.1
IDLE_KINDS = frozenset({"update Lease", "get Lease", "get NonResource"})
"""What may be asked while nothing happens; watches are opened again besides."""

TEXT = """\
One operator follows {servers} McpServers in a cluster whose nodes and pods are pretended: API
server, etcd, controllers and scheduler are real, and share two cores with the operator and with
what applies and measures. {foreign} Secrets of others lie beside. The pods' answers come from the
process that measures, so that figures are of passes and requests and not of kubelets. Processor
time is the operator's own, from the kernel.
"""


def report(measured: Measured, versions: Mapping[str, str]) -> Report:
    """Make rows of what was measured."""
    return Report(
        title=f"Operator with {measured.servers} McpServers",
        text=TEXT.format(servers=measured.servers, foreign=measured.foreign),
        rows=[*_changes(measured), *_waits(measured), *_quiet(measured), *_memory(measured)],
        tables=[_writes(measured), _requests(measured)],
        versions=versions,
        raw=measured.raw(),
    )


def _changes(measured: Measured) -> Iterator[Row]:
    count, phases = measured.servers, measured.phases
    made = phases["create"]
    yield Row(
        f"{count} applied at once, until all are observed; {made.observed.total()} writes",
        made.seconds,
        "s",
        ratio=made.seconds / measured.raw_seconds,
        peer="the same writes sent raw",
        bound=Bound(RAW_RATIO_MAX, at_least=False, of_ratio=True),
    )
    yield Row(
        "processor time of that for each object written",
        made.cpu_ms_per_write,
        "ms",
        bound=Bound(CPU_MS_MAX, at_least=False),
    )
    for name, most in (("live edit", 4), ("image edit", 5)):
        done = phases[name]
        yield Row(
            f"{name} of all: writes for each server until nothing is left to do",
            done.writes.total() / count,
            bound=Bound(most, at_least=False),
            note=f"{done.seconds:.3g} s, {1000 * done.cpu_seconds / count:.3g} ms of processor "
            "time for each server until observed",
        )


def _waits(measured: Measured) -> Iterator[Row]:
    yield Row(
        "restart: until every server had a pass, the start of Python included",
        measured.restart_passed_seconds,
        "s",
        bound=Bound(PASSED_SECONDS_MAX, at_least=False),
        note=f"ready after {measured.restart_ready_seconds:.3g} s",
    )
    writes = sum(count for name, count in measured.restart_requests.items() if _is_write(name))
    yield Row("restart: writes but the Lease", writes, bound=Bound(0, at_least=False))
    yield Row(
        "drift of a child, until it is repaired: p99",
        1000 * percentile(measured.drift_seconds, 0.99),
        "ms",
        bound=Bound(DRIFT_MS_MAX, at_least=False),
        note=f"median {1000 * percentile(measured.drift_seconds, 0.5):.3g} ms, "
        f"{len(measured.drift_seconds)} repairs",
    )
    yield Row(
        "a user's edit while the passes over all servers run, until it is observed: slowest",
        1000 * max(measured.resync_edit_seconds),
        "ms",
        bound=Bound(EDIT_MS_MAX, at_least=False),
    )


def _quiet(measured: Measured) -> Iterator[Row]:
    extra = {
        name: count
        for name, count in measured.idle_requests.items()
        if name not in IDLE_KINDS and not name.startswith("watch ")
    }
    said = ", ".join(f"{name}: {count}" for name, count in measured.idle_requests.items())
    yield Row(
        f"idle for {measured.idle_seconds:.0f} s: requests but Lease, watches, polls",
        sum(extra.values()),
        bound=Bound(0, at_least=False),
        note=said,
    )


def _memory(measured: Measured) -> Iterator[Row]:
    rss = measured.rss_mib
    yield Row(
        f"resident memory with all servers and {measured.foreign} foreign Secrets",
        rss["after image edit"],
        "MiB",
        bound=Bound(RSS_MIB_MAX, at_least=False),
        note=f"{rss['idle, no server']:.0f} MiB without a server",
    )
    yield Row(
        "the same after all were changed four times more",
        rss["at the end"],
        "MiB",
        ratio=rss["at the end"] / rss["after image edit"],
        peer="before",
        bound=Bound(FLAT_RATIO_MAX, at_least=False, of_ratio=True),
    )


def _is_write(name: str) -> bool:
    verb, _, kind = name.partition(" ")
    return verb in WRITES and kind != "Lease"


def _writes(measured: Measured) -> Table:
    columns = ["", "writes for each server", "of them", "passes for each server", "CPU ms"]
    rows = [_line(name, done, measured.servers) for name, done in measured.phases.items()]
    return Table("Writes", columns, rows, "Until nothing was left to do; CPU until all observed.")


def _line(name: str, done: Done, count: int) -> list[str]:
    parts = (f"{verb} {kind} {number / count:.3g}" for (verb, kind), number in done.writes.items())
    cpu = 1000 * done.cpu_seconds / count
    return [
        name,
        f"{done.writes.total() / count:.3g}",
        ", ".join(sorted(parts)),
        f"{done.passes / count:.3g}",
        f"{cpu:.3g}",
    ]


def _requests(measured: Measured) -> Table:
    rows = [[name, str(count)] for name, count in measured.restart_requests.items()]
    return Table("Requests of a restart", ["request", "count"], rows)
