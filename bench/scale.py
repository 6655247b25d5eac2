"""The operator with many McpServers: what it writes, what that costs, how long people wait."""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from bench import machine, scale_raw, scale_report
from bench.processes import ROOT, ProcessError
from bench.scale_ground import client, cluster, operator, wait_ready
from bench.scale_phases import IMAGE, LIVE, Done, Phases, foreign_secrets
from bench.scale_pods import Volumes
from breakwater_operator.kube.errors import ApiError

if TYPE_CHECKING:
    from bench.report import Options, Report
    from bench.scale_ground import Operator
    from breakwater_operator.kube.api import KubeApi

LIBRARIES = ("aiohttp", "httptools", "kopf", "kubernetes", "orjson", "pydantic", "uvloop")
SERVERS = 1000
QUICK_SERVERS = 20
FOREIGN_PER_SERVER = 20
IDLE_SECONDS = 60.0
CHURNS = 3


@dataclass
class Measured:
    """Everything that was measured."""

    servers: int
    foreign: int
    raw_seconds: float = 0.0
    phases: dict[str, Done] = field(default_factory=dict)
    rss_mib: dict[str, float] = field(default_factory=dict)
    """Resident memory of the operator at points of time."""
    drift_seconds: list[float] = field(default_factory=list)
    resync_edit_seconds: list[float] = field(default_factory=list)
    restart_ready_seconds: float = 0.0
    restart_passed_seconds: float = 0.0
    restart_requests: dict[str, int] = field(default_factory=dict)
    idle_seconds: float = IDLE_SECONDS
    idle_requests: dict[str, int] = field(default_factory=dict)

    def raw(self) -> dict[str, Any]:
        """Write everything down for the JSON file."""
        phases = {
            name: vars(one) | {"observed": _named(one.observed), "writes": _named(one.writes)}
            for name, one in self.phases.items()
        }
        kept = {key: value for key, value in vars(self).items() if key != "phases"}
        return {**kept, "phases": phases}


def measure(options: Options) -> Report:
    """Bring a cluster up and measure all of it."""
    servers = options.servers or (QUICK_SERVERS if options.quick else SERVERS)
    with cluster(ROOT) as kubeconfig, tempfile.TemporaryDirectory() as folder:
        try:
            measured = uvloop.run(_measure(Run(kubeconfig, Path(folder), servers, options.quick)))
        except* ApiError as errors:
            raise ProcessError(f"the cluster failed: {errors.exceptions[0]}") from errors
    return scale_report.report(measured, machine.versions(LIBRARIES))


@dataclass(frozen=True)
class Run:
    """Where and how much."""

    kubeconfig: Path
    folder: Path
    servers: int
    is_quick: bool

    @property
    def pods(self) -> Path:
        """The socket of the pods that pretend to run."""
        return self.folder / "pods"


async def _measure(run: Run) -> Measured:
    measured = Measured(run.servers, run.servers * FOREIGN_PER_SERVER)
    async with (
        client(run.kubeconfig) as api,
        client(run.kubeconfig) as mounted,
        Volumes(mounted).serving(run.pods),
    ):
        with operator(run.kubeconfig, run.folder, run.pods):
            server, children = await scale_raw.sample(api)
        measured.raw_seconds = await scale_raw.seconds(api, server, children, run.servers)
        _said("written raw", measured.raw_seconds)
        # Deleting is the work of the cluster's own controllers.
        await asyncio.gather(scale_raw.clear(api), foreign_secrets(api, measured.foreign))
        print(f"cleared; {measured.foreign} foreign Secrets", flush=True)
        with operator(run.kubeconfig, run.folder, run.pods) as one:
            await _life(run, Phases(api, one, run.servers), measured)
        await _restarts(run, api, measured)
    return measured


async def _life(run: Run, phases: Phases, measured: Measured) -> None:
    measured.rss_mib["idle, no server"] = phases.operator.rss_mib
    for name, spec in (("create", {}), ("live edit", LIVE), ("image edit", {**LIVE, **IMAGE})):
        await phases.change(name, spec)
        measured.rss_mib[f"after {name}"] = phases.operator.rss_mib
    measured.drift_seconds = await phases.drift(20 if run.is_quick else 100)
    _said("drift, slowest", measured.drift_seconds[-1])
    for turn in range(CHURNS):
        spec = {**IMAGE, "access": {"origins": [f"https://{turn}.example"]}}
        await phases.change(f"churn {turn}", spec)
        measured.rss_mib[f"after churn {turn + 1}"] = phases.operator.rss_mib
    await phases.change("churned back", {**LIVE, **IMAGE})
    measured.idle_seconds = 10.0 if run.is_quick else IDLE_SECONDS
    measured.idle_requests = _named(await phases.idle(measured.idle_seconds))
    measured.rss_mib["at the end"] = phases.operator.rss_mib
    measured.phases = phases.done


async def _restarts(run: Run, api: KubeApi, measured: Measured) -> None:
    started = time.monotonic()
    with operator(run.kubeconfig, run.folder, run.pods) as one:
        measured.restart_ready_seconds = time.monotonic() - started
        await Phases(api, one, run.servers).passed(600.0)
        measured.restart_passed_seconds = time.monotonic() - started
        await asyncio.sleep(2)
        measured.restart_requests = _named(one.requests())
        measured.rss_mib["after a restart"] = one.rss_mib
    _said("restart", measured.restart_passed_seconds)
    for number in range(3):
        with operator(run.kubeconfig, run.folder, run.pods, waits=False) as one:
            measured.resync_edit_seconds.append(await _edit_in_resync(run, api, one, number))


async def _edit_in_resync(run: Run, api: KubeApi, one: Operator, number: int) -> float:
    """Edit one server while the passes over all others run."""
    await asyncio.to_thread(wait_ready, one.port, lambda _: None)
    return await Phases(api, one, run.servers).edit(run.servers - 1 - number)


def _named(counted: Any) -> dict[str, int]:
    return {f"{verb} {kind}": count for (verb, kind), count in sorted(counted.items())}


def _said(what: str, seconds: float) -> None:
    print(f"{what}: {seconds:.1f} s", flush=True)
