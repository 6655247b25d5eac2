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
SYNCED_SECONDS_MAX = 3.0
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
time is the operator's own, from the kernel. What is sent raw goes to a cluster that was made the
same way right before.
"""


def report(measured: Measured, versions: Mapping[str, str]) -> Report:
    """Make rows of what was measured."""
    return Report(
        title=f"Operator with {measured.servers} McpServers",
        text=TEXT.format(servers=measured.servers, foreign=measured.foreign),
        rows=[*_changes(measured), *_waits(measured), *_quiet(measured), *_memory(measured)],
        tables=[_writes(measured), _processors(measured), _memories(measured), _requests(measured)],
        stopped=measured.stopped,
        versions=versions,
        raw=measured.raw(),
    )


def _changes(measured: Measured) -> Iterator[Row]:
    count, made = measured.servers, measured.phases.get("create")
    ratio_max = Bound(RAW_RATIO_MAX, at_least=False, of_ratio=True)
    cpu_max = Bound(CPU_MS_MAX, at_least=False)
    if made is None:
        yield _missing("all applied at once, until all are observed", ratio_max)
        yield _missing("processor time of that for each object written", cpu_max)
    else:
        yield Row(
            f"{count} applied at once, until all are observed; {made.observed.total()} writes",
            made.seconds,
            "s",
            ratio=made.seconds / measured.raw_seconds,
            peer="the same writes sent raw",
            bound=ratio_max,
        )
        what = "processor time of that for each object written"
        yield Row(what, made.cpu_ms_per_write, "ms", bound=cpu_max)
    for name, most in (("live edit", 4), ("image edit", 5)):
        yield _edited(name, measured.phases.get(name), count, Bound(most, at_least=False))


def _edited(name: str, done: Done | None, count: int, bound: Bound) -> Row:
    what = f"{name} of all: writes for each server until nothing is left to do"
    if done is None:
        return _missing(what, bound)
    note = (
        f"{done.seconds:.3g} s, {1000 * done.cpu_seconds / count:.3g} ms of processor time for "
        "each server until observed"
    )
    return Row(what, done.writes.total() / count, bound=bound, note=note)


def _waits(measured: Measured) -> Iterator[Row]:
    passed = measured.restart_passed_seconds
    yield _measured_row(
        "restart: until its caches are synced and it is ready, the start of Python included",
        measured.restart_ready_seconds or None,
        "s",
        Bound(SYNCED_SECONDS_MAX, at_least=False),
        f"every server had its first pass after {passed:.3g} s",
    )
    writes = sum(count for name, count in measured.restart_requests.items() if _is_write(name))
    bound = Bound(0, at_least=False)
    yield _measured_row("restart: writes but the Lease", writes if passed else None, "", bound, "")
    drift = measured.drift_seconds
    yield _measured_row(
        "drift of a child, until it is repaired: p99",
        1000 * percentile(drift, 0.99) if drift else None,
        "ms",
        Bound(DRIFT_MS_MAX, at_least=False),
        f"median {1000 * percentile(drift, 0.5):.3g} ms, {len(drift)} repairs" if drift else "",
    )
    edits, left = measured.resync_edit_seconds, measured.resync_left
    yield _measured_row(
        "a user's edit while the passes over all servers run, until it is observed: slowest",
        1000 * max(edits) if edits else None,
        "ms",
        Bound(EDIT_MS_MAX, at_least=False),
        f"{len(edits)} edits; other servers that still waited for their pass then: "
        + ", ".join(map(str, left)),
    )


def _quiet(measured: Measured) -> Iterator[Row]:
    requests = measured.idle_requests
    extra = [
        count
        for name, count in (requests or {}).items()
        if name not in IDLE_KINDS and not name.startswith("watch ")
    ]
    yield _measured_row(
        f"idle for {measured.idle_seconds:.0f} s: requests but Lease, watches, polls",
        sum(extra) if requests is not None else None,
        "",
        Bound(0, at_least=False),
        ", ".join(f"{name}: {count}" for name, count in (requests or {}).items()),
    )


def _memory(measured: Measured) -> Iterator[Row]:
    rss = measured.rss_mib
    full, end = rss.get("after image edit"), rss.get("at the end")
    yield _measured_row(
        f"resident memory with all servers and {measured.foreign} foreign Secrets",
        full,
        "MiB",
        Bound(RSS_MIB_MAX, at_least=False),
        f"{rss.get('idle, no server', 0):.0f} MiB without a server",
    )
    flat = Bound(FLAT_RATIO_MAX, at_least=False, of_ratio=True)
    what = "the same after all were changed four times more"
    if full is None or end is None:
        yield _missing(what, flat)
    else:
        note = f"at most {rss['at most']:.0f} MiB at any time" if "at most" in rss else ""
        yield Row(what, end, "MiB", ratio=end / full, peer="before", bound=flat, note=note)


def _measured_row(what: str, figure: float | None, unit: str, bound: Bound, note: str) -> Row:
    if figure is None:
        return _missing(what, bound)
    return Row(what, figure, unit, bound=bound, note=note)


def _missing(what: str, bound: Bound) -> Row:
    return Row(what, None, bound=bound, note="not measured")


def _is_write(name: str) -> bool:
    verb, _, kind = name.partition(" ")
    return verb in WRITES and kind != "Lease"


def _writes(measured: Measured) -> Table:
    columns = ["", "writes for each server", "of them", "passes for each server", "CPU ms"]
    rows = [_line(name, done, measured.servers) for name, done in measured.phases.items()]
    return Table("Writes", columns, rows, "Until nothing was left to do; CPU until all observed.")


def _memories(measured: Measured) -> Table:
    rows = [[when, f"{mib:.0f}"] for when, mib in measured.rss_mib.items()]
    return Table("Resident memory", ["when", "MiB"], rows)


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


def _processors(measured: Measured) -> Table:
    """Tell what the machine did, and so what a figure may be owed to."""
    stretches = measured.account.stretches
    names = list(dict.fromkeys(name for used in stretches.values() for name in used.cpu_seconds))
    rows = [
        [
            stretch,
            f"{used.seconds:.1f}",
            *(f"{used.cpu_seconds.get(name, 0):.1f}" for name in names),
        ]
        for stretch, used in stretches.items()
    ]
    text = "Seconds of the stretch, and of processor time in it."
    return Table("Who used the processors", ["", "seconds", *names], rows, text)
