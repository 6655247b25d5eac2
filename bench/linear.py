"""Whether a server costs the operator the same, however many others there are."""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from bench import machine, scale_raw
from bench.linear_report import Costs, report
from bench.processes import ROOT, ProcessError
from bench.scale import LIBRARIES, Run
from bench.scale_ground import client, cluster, operator, say
from bench.scale_phases import LIVE, OPERATOR, Done, Ground, Phases, until_observed
from bench.scale_pods import Volumes
from bench.scale_servers import Servers
from breakwater_operator.kube.errors import ApiError
from dev.cluster.api import Api

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from bench.report import Options, Report
    from bench.scale_raw import Sample

MANY = 5000
QUICK_MANY = 100
TIMES = 5
"""How many times as many as few are many."""

RAW_SHARE = 4
"""For how many servers that are made one is written raw."""

RAW_STRETCH = "the same writes sent raw"
API_SERVER = "kube-apiserver"
IDLE = "idle for a minute"

PER_NAMESPACE = 50
"""Servers of a namespace. Controllers of Kubernetes compare each pod with every Service and every
PodDisruptionBudget of its namespace: thousands in one would measure these."""

IDLE_SECONDS = 30.0

SERVICE_RANGE = "240.0.0.0/16"
"""For Services, instead of a cluster's 4,000: the fuller a range, the longer the API server looks
for an address. These are reserved: no machine has them, and nothing is sent to them."""

ONE_POD = {"replicas": 1}
"""A cluster has addresses for 8,000 pods."""


def measure(options: Options) -> Report:
    """Measure few servers and many, one after the other in the same cluster.

    Raises:
        ProcessError: The cluster failed.
    """
    many = options.servers or (QUICK_MANY if options.quick else MANY)
    few, all_of_them = Costs(max(1, many // TIMES)), Costs(many)
    try:
        with cluster(ROOT) as made, tempfile.TemporaryDirectory() as folder:
            _more_room(made.kubeconfig, many)
            run = Run(made.kubeconfig, made.pids, Path(folder), many, options.quick)
            uvloop.run(_measure(run, few, all_of_them))
    except* (ApiError, OSError) as errors:
        raise ProcessError(f"the cluster failed: {errors.exceptions[0]}") from errors
    return report(
        few,
        all_of_them,
        machine.versions(LIBRARIES),
        raw=_raw_count(few.servers),
        per_namespace=PER_NAMESPACE,
    )


async def _measure(run: Run, few: Costs, many: Costs) -> None:
    async with (
        client(run.kubeconfig) as api,
        client(run.kubeconfig) as mounted,
        Volumes(mounted).serving(run.pods),
        Servers(api, _namespace).following() as servers,
    ):
        ground = Ground(api, servers, run.pids)
        with operator(run.kubeconfig, run.folder, run.pods) as one:
            sample = replace(await scale_raw.sample(api, **ONE_POD), namespace=_raw_namespace)
            empty_mib = one.rss_mib
            size = Size(few, Phases(ground, one, few.servers), sample)
            await size.measure(range(few.servers), empty_mib)
        await _restart(run, ground, few)
        with operator(run.kubeconfig, run.folder, run.pods) as one:
            await Phases(ground, one, few.servers).passed(600.0)
            phases = Phases(ground, one, many.servers)
            last = range(many.servers - few.servers, many.servers)
            await phases.change("made between", ONE_POD, range(few.servers, last.start))
            await Size(many, phases, sample).measure(last, empty_mib)
        first = size.phases.done["made"]
        few.figures |= _all_made([first], few.servers)
        done = [first, phases.done["made between"], phases.done["made"]]
        many.figures |= _all_made(done, many.servers)
        await _restart(run, ground, many)


@dataclass(frozen=True)
class Raw:
    """What the API server takes for the same writes without the operator, for each server."""

    seconds: float
    cpu_seconds: float
    """Of the API server."""


@dataclass(frozen=True)
class Size:
    """So many servers, and what they cost."""

    costs: Costs
    phases: Phases
    sample: Sample

    async def measure(self, last: range, empty_mib: float) -> None:
        """Make the last of them, change all, and wait while nothing happens.

        Args:
            last: Their numbers.
            empty_mib: Resident memory of an operator without servers.
        """
        costs, operator = self.costs, self.phases.operator
        raw = range(last.start, last.start + _raw_count(len(last)))
        made = await self._raw(self.sample.made(raw), len(raw))
        await self.sample.ready(raw)
        await self._change("made", ONE_POD, last, made)
        changed = await self._raw(self.sample.changed(raw, LIVE), len(raw))
        await self._change("changed", ONE_POD | LIVE, range(costs.servers), changed)
        kib = 1024 * (operator.rss_mib - empty_mib)
        costs.figures["resident memory, KiB"] = kib / costs.servers
        await self._idle(last)

    async def _idle(self, last: range) -> None:
        """Wait while nothing happens; say what that costs, and how much of making servers it was.

        Args:
            last: The numbers of the servers that were made.
        """
        costs, ground, operator = self.costs, self.phases.ground, self.phases.operator
        with ground.account.counted(IDLE, {OPERATOR: operator.process.pid, **ground.pids}):
            await asyncio.sleep(IDLE_SECONDS)
        used = {
            process: 1000 * seconds * 60 / IDLE_SECONDS / costs.servers
            for process, seconds in ground.account.stretches[IDLE].cpu_seconds.items()
        }
        costs.processors[IDLE] = used
        costs.figures[f"{IDLE}: processor time, ms"] = used[OPERATOR]
        standing, minutes = last.start + len(last) / 2, self.phases.done["made"].seconds / 60
        for_others = used[OPERATOR] * standing * minutes / len(last)
        costs.details["made: of its processor time for servers that stand, ms"] = for_others
        costs.figures["made: processor time but for servers that stand, ms"] = (
            costs.figures["made: processor time, ms"] - for_others
        )

    async def _raw(self, writing: Awaitable[float], count: int) -> Raw:
        """Write raw; say what that took for each server."""
        ground = self.phases.ground
        with ground.account.counted(RAW_STRETCH, ground.pids):
            seconds = await writing
        used = ground.account.stretches[RAW_STRETCH].cpu_seconds[API_SERVER]
        return Raw(seconds / count, used / count)

    async def _change(self, name: str, spec: Mapping[str, Any], numbers: range, raw: Raw) -> None:
        await self.phases.change(name, spec, numbers)
        done, count = self.phases.done[name], len(numbers)
        seconds, cpu_seconds = done.seconds / count, done.cpu_seconds_in_all / count
        costs = self.costs
        share = 100 * cpu_seconds / raw.cpu_seconds
        costs.figures[f"{name}: processor time, ms"] = 1000 * cpu_seconds
        costs.figures[f"{name}: processor time, % of raw"] = share
        costs.figures[f"{name}: time until all are observed, ms"] = 1000 * seconds
        costs.figures[f"{name}: time until all are observed, x raw"] = seconds / raw.seconds
        costs.details[f"{name}: raw, processor time of the API server, ms"] = 1000 * raw.cpu_seconds
        costs.details[f"{name}: raw, time, ms"] = 1000 * raw.seconds
        used = self.phases.ground.account.stretches[until_observed(name)]
        costs.processors[name] = {
            process: 1000 * seconds / count for process, seconds in used.cpu_seconds.items()
        }


def _all_made(done: list[Done], servers: int) -> dict[str, float]:
    """Say what each of all servers took that were made in these phases."""
    cpu_seconds = sum(each.cpu_seconds_in_all for each in done) / servers
    seconds = sum(each.seconds for each in done) / servers
    return {
        "all made: processor time, ms": 1000 * cpu_seconds,
        "all made: time until all are observed, ms": 1000 * seconds,
    }


async def _restart(run: Run, ground: Ground, costs: Costs) -> None:
    started = time.monotonic()
    with operator(run.kubeconfig, run.folder, run.pods) as one:
        await Phases(ground, one, costs.servers).passed(600.0)
        seconds, used = time.monotonic() - started, one.cpu_seconds
    say(f"restart with {costs.servers}: {seconds:.1f} s, {used:.1f} s of processor time")
    costs.figures["restart: processor time, ms"] = 1000 * used / costs.servers
    costs.figures["restart: time until all had a pass, ms"] = 1000 * seconds / costs.servers


def _namespace(number: int) -> str:
    return f"scale-{number // PER_NAMESPACE}"


def _raw_namespace(number: int) -> str:
    return f"{scale_raw.RAW}-{number // PER_NAMESPACE}"


def _raw_count(made: int) -> int:
    return max(1, made // RAW_SHARE)


def _more_room(kubeconfig: Path, servers: int) -> None:
    """Have addresses for all Services, and the namespaces."""
    ranges = "/apis/networking.k8s.io/v1/servicecidrs"
    with Api(kubeconfig) as api:
        api.create(ranges, {"metadata": {"name": "more"}, "spec": {"cidrs": [SERVICE_RANGE]}})
        # It stays for the API server's own Service, and no other gets an address of it.
        api.request("DELETE", f"{ranges}/kubernetes", {})
        names = [of(number) for of in (_namespace, _raw_namespace) for number in range(servers)]
        for name in dict.fromkeys(names):
            api.create("/api/v1/namespaces", {"metadata": {"name": name}})
