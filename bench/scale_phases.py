"""What an operator has to do with many servers, one thing after the other, each measured."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.scale_cpu import Account
from bench.scale_ground import NAMESPACE, quiet, say, side_by_side, until
from bench.scale_servers import PATIENCE_SECONDS
from bench.scale_watch import Watched
from breakwater_contract.metrics import QUEUE_DEPTH, RECONCILE_DURATION
from breakwater_operator.kube.cache import version
from breakwater_operator.kube.kinds import CONFIG_MAP, SECRET

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Mapping

    from bench.scale_ground import Operator
    from bench.scale_servers import Servers
    from breakwater_operator.kube.api import KubeApi

PASSES = f"{RECONCILE_DURATION.name}_count"
DEPTH = QUEUE_DEPTH.name

OPERATOR = "operator"
"""What it is called among the processes that are accounted."""

LIVE = {"access": {"origins": ["https://chat.example"]}}
IMAGE = {"runtime": {"image": "registry.example/weather:2"}}


@dataclass(frozen=True)
class Done:
    """What a phase cost the operator."""

    seconds: float
    """Until all servers were observed."""
    cpu_seconds: float
    """Of the operator, in that time."""
    observed: Counter[tuple[str, str]]
    """Its writes until then, by verb and kind."""
    writes: Counter[tuple[str, str]]
    """Its writes until it was quiet."""
    passes: float
    """Its passes until then."""
    cpu_seconds_in_all: float
    """Processor time of the operator until it was quiet."""

    @property
    def cpu_ms_per_write(self) -> float:
        """Processor time for each object written, statuses among them."""
        return 1000 * self.cpu_seconds / max(1, self.observed.total())


@dataclass(frozen=True)
class Ground:
    """A cluster, and what watches it."""

    api: KubeApi
    servers: Servers
    pids: Mapping[str, int]
    """The cluster's processes, by their names."""
    account: Account = field(default_factory=Account)


@dataclass
class Phases:
    """One operator, and so many servers."""

    ground: Ground
    operator: Operator
    count: int
    done: dict[str, Done] = field(default_factory=dict)

    async def change(
        self, name: str, spec: Mapping[str, Any], numbers: Iterable[int] | None = None
    ) -> None:
        """Apply servers at once with this spec, and wait until nothing is left to do.

        Args:
            name: What it is called from then on.
            spec: The spec.
            numbers: Which of them; None means all.
        """
        chosen = list(range(self.count) if numbers is None else numbers)
        account, servers = self.ground.account, self.ground.servers
        pids = {OPERATOR: self.operator.process.pid, **self.ground.pids}
        before, cpu = self.operator.writes(), self.operator.cpu_seconds
        passes = self.passes()
        started = time.monotonic()
        with account.counted(until_observed(name), pids):
            await servers.apply(chosen, spec)
            await servers.observed(chosen, name)
        seconds, used = time.monotonic() - started, self.operator.cpu_seconds - cpu
        observed = self.operator.writes() - before
        with account.counted(f"{name}, until nothing is left to do", pids):
            await servers.settled(chosen, name)
            await quiet(self.operator, within=PATIENCE_SECONDS)
        writes = self.operator.writes() - before
        done = self.done[name] = Done(
            seconds,
            used,
            observed,
            writes,
            self.passes() - passes,
            self.operator.cpu_seconds - cpu,
        )
        say(
            f"{name}: {seconds:.1f} s, {done.cpu_ms_per_write:.2f} ms of processor time for each "
            f"write, {writes.total()} writes, {self.operator.rss_mib:.0f} MiB"
        )

    async def drift(self, times: int) -> list[float]:
        """Change children by hand, one after the other; give the seconds until each is repaired."""
        taken = []
        async with Watched(self.ground.api, CONFIG_MAP, dict).following() as settings:
            for turn in range(times):
                name = f"s{turn % self.count}-live"
                taken.append(await self._repaired(settings, name))
        return sorted(taken)

    async def _repaired(self, settings: Watched, name: str) -> float:
        api = self.ground.api
        wanted = (await api.get(CONFIG_MAP, NAMESPACE, name))["data"]
        change = {"data": {"v1.json": "{}"}}
        started = time.monotonic()
        drifted = await api.merge_patch(CONFIG_MAP, NAMESPACE, name, change, manager="user")
        at = version(drifted)
        await settings.until(
            [(NAMESPACE, name)],
            lambda _, live: version(live) > at and live["data"] == wanted,
            60.0,
            "drift is repaired",
        )
        return time.monotonic() - started

    async def edit(self, number: int) -> float:
        """Change one server as a user does; give the seconds until it is observed."""
        started = time.monotonic()
        changed = {**IMAGE, "access": {"origins": ["https://edit.example"]}}
        await self.ground.servers.apply([number], changed)
        await self.ground.servers.observed([number], "an edit")
        return time.monotonic() - started

    async def idle(self, seconds: float) -> Counter[tuple[str, str]]:
        """Do nothing; give the requests that the operator makes meanwhile."""
        await quiet(self.operator, within=PATIENCE_SECONDS)
        before = self.operator.requests()
        await asyncio.sleep(seconds)
        return self.operator.requests() - before

    async def passed(self, seconds: float) -> None:
        """Wait until each server had a pass and nothing is queued."""

        async def is_so() -> bool:
            series = self.operator.series(PASSES, DEPTH)
            return series.get(PASSES, 0.0) >= self.count and series.get(DEPTH) == 0

        # Whoever asks more often keeps the operator busy with answering.
        await until(is_so, seconds, "every server had a pass", every=0.1)

    def passes(self) -> float:
        """How many passes the operator has made."""
        return self.operator.series(PASSES).get(PASSES, 0.0)


def until_observed(name: str) -> str:
    """The stretch of a phase in which the operator writes what a user waits for."""
    return f"{name}, until all are observed"


async def foreign_secrets(api: KubeApi, count: int) -> None:
    """Fill a namespace with Secrets that concern nobody."""

    async def one(number: int) -> None:
        await api.create(SECRET, _foreign(number), manager="user")

    await side_by_side(range(count), one, what="foreign Secrets")


def percentile(sorted_values: list[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    if len(sorted_values) < 2:
        return sorted_values[0]
    return statistics.quantiles(sorted_values, n=100, method="inclusive")[round(share * 100) - 1]


def _foreign(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": "foreign", "name": f"f{number:06}"},
        "data": {"token": "eHh4" * 64},
    }
