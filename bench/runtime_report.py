"""What was measured about the runtime, as rows with bounds and tables for readers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from bench import gateway_report, peers, stdio_report
from bench.pages import number
from bench.report import Report
from bench.wires import MODERN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


from bench import runtime_rows, runtime_tables
from bench.measured import Measured, Series, cpu, find

TEXT = """\
Every server runs as a process of its own on one core, the load generator (wrk) on another, over
loopback; each is measured in every round, one after the other. A figure is the median of the
rounds, with the smallest and the largest; a ratio is the median of the ratios of the rounds. Calls
per CPU second are calls by what the server's process used in user and kernel mode. Every call has
an id of its own, and every hundredth answer is checked to be the answer to its call.

Breakwater and MCPServer serve the same object; FastMCP has the same functions. `echo` returns its
text of 16 characters at once, `pause` after a millisecond, `describe` returns structured output,
`steps` reports progress five times before it returns, so that its answer is a stream of events.
"""


def report(measured: Measured, versions: Mapping[str, str]) -> Report:
    """Make the report of the suite."""
    return Report(
        title="Runtime",
        text=TEXT + _noise(measured.calls),
        rows=[
            *runtime_rows.call_rows(measured.calls),
            *runtime_rows.observation_rows(measured.calls),
            *runtime_rows.latency_rows(measured.latency),
            *runtime_rows.sustained_rows(measured),
            *runtime_rows.idle_rows(measured.idle),
            *runtime_rows.forwarding_rows(measured.hop),
            *stdio_report.rows(measured.stdio),
            *gateway_report.gateway_rows(measured.gateway),
            *gateway_report.policy_rows(measured.policies),
            *runtime_rows.start_rows(measured),
        ],
        tables=[
            runtime_tables.calls_table(measured.calls),
            runtime_tables.latency_table(measured.latency),
            runtime_tables.idle_table(measured.idle),
            stdio_report.table(measured.stdio),
            runtime_tables.switched_on(measured.peers),
        ],
        versions=versions,
        raw=_raw(measured),
    )


def _noise(series: Sequence[Series]) -> str:
    """Say how far apart rounds are of a server that does the same every time."""
    floor = find(series, peers.FLOOR, MODERN)
    if floor is None:
        return ""
    found = floor.spread(cpu)
    return (
        f"\nHow noisy the machine was: the fastest round of the constant answer was "
        f"{number(found.maximum / found.minimum)} times as fast as its slowest.\n"
    )


def _raw(measured: Measured) -> dict[str, object]:
    return {
        "calls": [_series_raw(one) for one in measured.calls],
        "latency": [_series_raw(one) for one in measured.latency],
        "idle": [{"server": peer.name, **asdict(one)} for peer, one in measured.idle],
        "sustained": asdict(measured.sustained),
        "hop": asdict(measured.hop),
        "stdio": stdio_report.raw(measured.stdio),
        "gateway": [asdict(each) for each in measured.gateway],
        "policies": asdict(measured.policies),
        "ready_seconds": list(measured.ready_seconds),
        "plain_ready_seconds": list(measured.plain_ready_seconds),
        "import_seconds": list(measured.import_seconds),
    }


def _series_raw(series: Series) -> dict[str, object]:
    case = series.case
    return {
        "server": case.peer.name,
        "wire": case.wire,
        "tool": case.tool,
        "connections": series.connections,
        "samples": [asdict(sample) for sample in series.samples],
    }
