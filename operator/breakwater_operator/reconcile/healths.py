"""The health of each server as metrics: also of one that has no pod left to say so."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from breakwater_contract.metric import Metric
from breakwater_contract.metrics import SERVER_FAILURES, SERVER_HEALTH
from breakwater_operator.probe.rounds import HEALTHY, UNHEALTHY, Rounds
from breakwater_operator.reconcile import deployments
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.world import World

OUTCOMES = SERVER_HEALTH.values["outcome"]

PARTS = 30
"""In how many parts servers are looked at: thousands at once would hold up passes."""

PART_SECONDS = 1.0
"""Between two of these, which makes half a minute from one look at a server to the next."""


@dataclass
class _Looks:
    """What the looks at one server have found."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    failures: int = 0

    def note(self, outcome: str) -> None:
        self.counts[outcome] += 1
        self.failures = 0 if outcome == HEALTHY else self.failures + 1


@dataclass(eq=False)
class Healths(Collector):
    """Looks at every server now and then, and shows what it found, while this process leads.

    It asks nobody: that pods are asked is the business of rounds.
    """

    rounds: Rounds
    world: World
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    found: dict[Key, _Looks] = field(default_factory=dict)

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                for part in range(PARTS):
                    await self.sleep(PART_SECONDS)
                    self._look_at(part)
        finally:
            # Another process may lead, and count, from now on.
            self.found.clear()

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Show what was found."""
        counts = CounterMetricFamily(*_named(SERVER_HEALTH), labels=SERVER_HEALTH.labels)
        failures = GaugeMetricFamily(*_named(SERVER_FAILURES), labels=SERVER_FAILURES.labels)
        for key, looks in self._known():
            failures.add_metric(key, looks.failures)
            for outcome, count in looks.counts.items():
                counts.add_metric((*key, outcome), count)
        yield counts
        yield failures

    def _look_at(self, part: int) -> None:
        if part == 0:
            self.found = dict(self._known())
        for key in self.rounds.followed()[part::PARTS]:
            self._look(key)

    def _known(self) -> list[tuple[Key, _Looks]]:
        """What was found of the servers that are still there."""
        return [(key, self.found[key]) for key in self.rounds.followed() if key in self.found]

    def _look(self, key: Key) -> None:
        outcome = self.rounds.health(key)
        if outcome == UNHEALTHY and not self._is_wanted(key):
            self.found.pop(key, None)
        elif outcome is not None:
            self.found.setdefault(key, _Looks()).note(outcome)

    def _is_wanted(self, key: Key) -> bool:
        """Whether there should be pods: nobody finds fault with a server that is suspended."""
        deployment = deployments.find(self.world, *key)
        return deployment is not None and deployment["spec"].get("replicas", 1) > 0


def _named(metric: Metric) -> tuple[str, str]:
    return metric.name, metric.help
