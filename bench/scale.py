"""The operator with many McpServers: what it writes, what that costs, how long people wait."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from bench import machine, scale_raw, scale_report
from bench.processes import ROOT, ProcessError
from bench.scale_cpu import Account
from bench.scale_ground import client, cluster, operator, say, wait_ready
from bench.scale_phases import IMAGE, LIVE, Done, Ground, Phases, foreign_secrets
from bench.scale_pods import Volumes
from bench.scale_servers import Servers
from breakwater_operator.kube.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.report import Options, Report
    from bench.scale_ground import Operator

LIBRARIES = ("aiohttp", "httptools", "kopf", "kubernetes", "orjson", "pydantic", "uvloop")
SERVERS = 1000
QUICK_SERVERS = 20
FOREIGN_PER_SERVER = 20
IDLE_SECONDS = 60.0
CHURNS = 3
RESYNC_EDITS = 5

SO_FAR = ROOT / "build/bench/scale-so-far.json"
"""What was measured up to now, for whoever has to end a run by force."""


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
    resync_left: list[int] = field(default_factory=list)
    """How many servers still waited for their pass when each of these edits was observed."""
    restart_ready_seconds: float = 0.0
    restart_passed_seconds: float = 0.0
    restart_requests: dict[str, int] = field(default_factory=dict)
    idle_seconds: float = IDLE_SECONDS
    idle_requests: dict[str, int] | None = None
    account: Account = field(default_factory=Account)
    """Who used the processors meanwhile."""
    stopped: str | None = None
    """Why the run ended before all was measured."""

    def raw(self) -> dict[str, Any]:
        """Write everything down for the JSON file."""
        phases = {
            name: vars(one) | {"observed": _named(one.observed), "writes": _named(one.writes)}
            for name, one in self.phases.items()
        }
        kept = {key: value for key, value in vars(self).items() if key not in {"phases", "account"}}
        used = {stretch: vars(one) for stretch, one in self.account.stretches.items()}
        return {**kept, "phases": phases, "processors": used}

    def keep(self) -> None:
        """Put what is known so far where it stays."""
        SO_FAR.parent.mkdir(parents=True, exist_ok=True)
        SO_FAR.write_text(json.dumps(self.raw(), indent=1) + "\n")


def measure(options: Options) -> Report:
    """Measure all of it, each half in a cluster that is made for it and taken away again.

    A run that is interrupted, or fails, gives what it has measured by then.
    """
    servers = options.servers or (QUICK_SERVERS if options.quick else SERVERS)
    measured = Measured(servers, servers * FOREIGN_PER_SERVER)
    try:
        _measure(measured, is_quick=options.quick)
    except* (ApiError, OSError, ProcessError) as errors:
        measured.stopped = f"it failed: {_first(errors)}"
    except* (KeyboardInterrupt, SystemExit):
        measured.stopped = "it was interrupted"
    if measured.stopped is not None and not measured.raw_seconds:
        raise ProcessError(f"nothing was measured: {measured.stopped}")
    return scale_report.report(measured, machine.versions(LIBRARIES))


def _measure(measured: Measured, *, is_quick: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for part in (_raw, _managed):
            with cluster(ROOT) as made:
                say("a cluster is up")
                run = Run(made.kubeconfig, made.pids, Path(folder), measured.servers, is_quick)
                uvloop.run(part(run, measured))


@dataclass(frozen=True)
class Run:
    """Where and how much."""

    kubeconfig: Path
    pids: Mapping[str, int]
    """The cluster's processes, by their names."""
    folder: Path
    servers: int
    is_quick: bool

    @property
    def pods(self) -> Path:
        """The socket of the pods that pretend to run."""
        return self.folder / "pods"


async def _raw(run: Run, measured: Measured) -> None:
    """Write what the operator would write, without it."""
    async with (
        client(run.kubeconfig) as api,
        client(run.kubeconfig) as mounted,
        Volumes(mounted).serving(run.pods),
    ):
        with operator(run.kubeconfig, run.folder, run.pods):
            sample = await scale_raw.sample(api)
        with measured.account.counted("the same writes sent raw", run.pids):
            measured.raw_seconds = await sample.made(range(run.servers))
    measured.keep()
    say(f"written raw: {measured.raw_seconds:.1f} s")


async def _managed(run: Run, measured: Measured) -> None:
    """Have the operator do it, and everything else."""
    async with (
        client(run.kubeconfig) as api,
        client(run.kubeconfig) as mounted,
        Volumes(mounted).serving(run.pods),
        Servers(api).following() as servers,
    ):
        await foreign_secrets(api, measured.foreign)
        say(f"{measured.foreign} foreign Secrets")
        ground = Ground(api, servers, run.pids, measured.account)
        with operator(run.kubeconfig, run.folder, run.pods) as one:
            await _life(run, Phases(ground, one, run.servers, measured.phases), measured)
        await _restarts(run, ground, measured)


async def _life(run: Run, phases: Phases, measured: Measured) -> None:
    measured.rss_mib["idle, no server"] = phases.operator.rss_mib
    for name, spec in (("create", {}), ("live edit", LIVE), ("image edit", {**LIVE, **IMAGE})):
        await phases.change(name, spec)
        measured.rss_mib[f"after {name}"] = phases.operator.rss_mib
        measured.keep()
    measured.drift_seconds = await phases.drift(20 if run.is_quick else 100)
    say(f"drift, slowest: {measured.drift_seconds[-1]:.2f} s")
    for turn in range(CHURNS):
        spec = {**IMAGE, "access": {"origins": [f"https://{turn}.example"]}}
        await phases.change(f"churn {turn}", spec)
        measured.rss_mib[f"after churn {turn + 1}"] = phases.operator.rss_mib
        measured.keep()
    await phases.change("churned back", {**LIVE, **IMAGE})
    measured.idle_seconds = 10.0 if run.is_quick else IDLE_SECONDS
    measured.idle_requests = _named(await phases.idle(measured.idle_seconds))
    measured.rss_mib["at the end"] = phases.operator.rss_mib
    measured.rss_mib["at most"] = phases.operator.peak_rss_mib
    measured.keep()


async def _restarts(run: Run, ground: Ground, measured: Measured) -> None:
    started = time.monotonic()
    with operator(run.kubeconfig, run.folder, run.pods) as one:
        ready = time.monotonic() - started
        await Phases(ground, one, run.servers).passed(600.0)
        passed = time.monotonic() - started
        await asyncio.sleep(2)
        measured.restart_ready_seconds, measured.restart_passed_seconds = ready, passed
        measured.restart_requests = _named(one.requests())
        measured.rss_mib["after a restart"] = one.rss_mib
    say(f"restart: {passed:.1f} s")
    for number in range(RESYNC_EDITS):
        with operator(run.kubeconfig, run.folder, run.pods, waits=False) as one:
            await _edit_in_resync(run, ground, one, number, measured)
        measured.keep()


async def _edit_in_resync(
    run: Run, ground: Ground, one: Operator, number: int, measured: Measured
) -> None:
    """Edit one server while the passes over all others run."""
    await asyncio.to_thread(wait_ready, one.port, lambda _: None)
    phases = Phases(ground, one, run.servers)
    seconds = await phases.edit(run.servers - 1 - number)
    left = max(0, run.servers - int(phases.passes()))
    measured.resync_edit_seconds.append(seconds)
    measured.resync_left.append(left)
    say(f"an edit while all are passed: {seconds:.2f} s, {left} were left")


def _named(counted: Any) -> dict[str, int]:
    return {f"{verb} {kind}": count for (verb, kind), count in sorted(counted.items())}


def _first(errors: BaseExceptionGroup[Any]) -> BaseException:
    """The first error of a group, however deep it lies."""
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
