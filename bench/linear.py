"""Whether a server costs the operator the same, however many others there are."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from bench import machine
from bench.processes import ROOT, ProcessError
from bench.report import Bound, Report, Row, Table
from bench.scale import LIBRARIES, Run
from bench.scale_ground import client, cluster, operator, say
from bench.scale_phases import LIVE, Ground, Phases
from bench.scale_pods import Volumes
from bench.scale_servers import Servers
from breakwater_operator.kube.errors import ApiError
from dev.cluster.api import Api

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.report import Options

MANY = 5000
QUICK_MANY = 100
TIMES = 5
"""How many times as many as few are many."""

COST_RATIO_MAX = 1.25
"""What a server may cost among many, to what it costs among few. What is quadratic costs five times
as much; machines and API servers are not the same twice."""

MORE_ADDRESSES = "198.19.192.0/18"
"""For Services; a cluster is made with 4,000. It is set aside for benchmarks, as the others are."""

ONE_POD = {"replicas": 1}
"""A cluster has addresses for 8,000 pods."""

TEXT = """\
{few} McpServers are made, changed, and passed over by an operator that is started anew; then {more}
more are made, and all {many} are changed and passed over. Each figure is for one server. Linear
means that it does not grow: at most {bound} times as much among many as among few. The cluster is
one of pretended nodes and pods, as for [the bench](../reference/scale.md).
"""


@dataclass
class Costs:
    """What servers cost at one size: each figure is for one server."""

    servers: int
    figures: dict[str, float] = field(default_factory=dict)
    """By what they are of and their unit."""


def measure(options: Options) -> Report:
    """Measure few servers and many, one after the other in the same cluster.

    Raises:
        ProcessError: The cluster failed.
    """
    many = options.servers or (QUICK_MANY if options.quick else MANY)
    few, all_of_them = Costs(max(1, many // TIMES)), Costs(many)
    try:
        with cluster(ROOT) as made, tempfile.TemporaryDirectory() as folder:
            _more_services(made.kubeconfig)
            run = Run(made.kubeconfig, made.pids, Path(folder), many, options.quick)
            uvloop.run(_measure(run, few, all_of_them))
    except* (ApiError, OSError) as errors:
        raise ProcessError(f"the cluster failed: {errors.exceptions[0]}") from errors
    return report(few, all_of_them, machine.versions(LIBRARIES))


def report(few: Costs, many: Costs, versions: Mapping[str, str]) -> Report:
    """Compare what a server costs among many with what it costs among few."""
    text = TEXT.format(
        few=few.servers,
        many=many.servers,
        more=many.servers - few.servers,
        bound=COST_RATIO_MAX,
    )
    names = list(few.figures)
    lines = [[name, f"{few.figures[name]:.3g}", f"{many.figures[name]:.3g}"] for name in names]
    columns = ["for each server", f"among {few.servers}", f"among {many.servers}"]
    return Report(
        title=f"{few.servers} and {many.servers} McpServers",
        text=text,
        rows=list(_rows(few, many)),
        tables=[Table("Figures", columns, lines)],
        versions=versions,
        raw=[vars(few), vars(many)],
    )


def _rows(few: Costs, many: Costs) -> Iterator[Row]:
    for name, before in few.figures.items():
        what, _, unit = name.rpartition(", ")
        yield Row(
            what,
            many.figures[name],
            unit,
            ratio=many.figures[name] / before,
            peer=f"among {few.servers}",
            bound=Bound(COST_RATIO_MAX, at_least=False, of_ratio=True),
        )


async def _measure(run: Run, few: Costs, many: Costs) -> None:
    async with (
        client(run.kubeconfig) as api,
        client(run.kubeconfig) as mounted,
        Volumes(mounted).serving(run.pods),
        Servers(api).following() as servers,
    ):
        ground = Ground(api, servers, run.pids)
        with operator(run.kubeconfig, run.folder, run.pods) as one:
            phases = Phases(ground, one, few.servers)
            empty = one.rss_mib
            await _change(phases, "made", ONE_POD, range(few.servers), few)
            await _change(phases, "changed", ONE_POD | LIVE, range(few.servers), few)
            _remember_memory(few, one.rss_mib - empty)
        await _restart(run, ground, few)
        with operator(run.kubeconfig, run.folder, run.pods) as one:
            await Phases(ground, one, few.servers).passed(600.0)
            phases = Phases(ground, one, many.servers)
            await _change(phases, "made", ONE_POD, range(few.servers, many.servers), many)
            await _change(phases, "changed", ONE_POD | LIVE, range(many.servers), many)
            _remember_memory(many, one.rss_mib - empty)
        await _restart(run, ground, many)


async def _change(
    phases: Phases, name: str, spec: Mapping[str, Any], numbers: range, costs: Costs
) -> None:
    await phases.change(name, spec, numbers)
    done = phases.done[name]
    costs.figures[f"{name}: processor time, ms"] = 1000 * done.cpu_seconds / len(numbers)
    costs.figures[f"{name}: time until all are observed, ms"] = 1000 * done.seconds / len(numbers)


def _remember_memory(costs: Costs, mib: float) -> None:
    costs.figures["resident memory, KiB"] = 1024 * mib / costs.servers


async def _restart(run: Run, ground: Ground, costs: Costs) -> None:
    started = time.monotonic()
    with operator(run.kubeconfig, run.folder, run.pods) as one:
        await Phases(ground, one, costs.servers).passed(600.0)
        seconds, used = time.monotonic() - started, one.cpu_seconds
    say(f"restart with {costs.servers}: {seconds:.1f} s, {used:.1f} s of processor time")
    costs.figures["restart: processor time, ms"] = 1000 * used / costs.servers
    costs.figures["restart: time until all had a pass, ms"] = 1000 * seconds / costs.servers


def _more_services(kubeconfig: Path) -> None:
    """Add addresses for Services."""
    cidr = {"metadata": {"name": "more"}, "spec": {"cidrs": [MORE_ADDRESSES]}}
    with Api(kubeconfig) as api:
        api.create("/apis/networking.k8s.io/v1/servicecidrs", cidr)
