"""The operator's own series, as the metric catalogue names them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from breakwater_contract.metric import Metric
from breakwater_contract.metrics import (
    API_REQUESTS,
    FAILING_SERVERS,
    INFORMER_AGE,
    LEADER,
    PAUSED_SERVERS,
    PROBES,
    QUEUE_AGE,
    QUEUE_DEPTH,
    RECONCILE_DURATION,
)


class Meters:
    """Counts what the operator does."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Make every series.

        Args:
            registry: Where `/metrics` finds them.
        """
        # Another series beside each counter, of which nobody knows.
        disable_created_metrics()  # type: ignore[no-untyped-call] # it has no annotations
        # Looking a series up costs more than counting.
        self._requests = cache(_counter(API_REQUESTS, registry).labels)
        self._probes = _counter(PROBES, registry)
        self._passes = Histogram(
            RECONCILE_DURATION.name,
            RECONCILE_DURATION.help,
            RECONCILE_DURATION.labels,
            buckets=RECONCILE_DURATION.buckets,
            registry=registry,
        )
        self._depth = Gauge(QUEUE_DEPTH.name, QUEUE_DEPTH.help, registry=registry)
        self._age = Gauge(QUEUE_AGE.name, QUEUE_AGE.help, registry=registry)
        self._paused = Gauge(PAUSED_SERVERS.name, PAUSED_SERVERS.help, registry=registry)
        self._failing = Gauge(FAILING_SERVERS.name, FAILING_SERVERS.help, registry=registry)
        self._leader = Gauge(LEADER.name, LEADER.help, registry=registry)
        self._registry = registry

    def request(self, verb: str, kind: str, code: str) -> None:
        """Count an answer of the API server."""
        self._requests(verb, kind, code).inc()

    def probe(self, outcome: str) -> None:
        """Count a handshake."""
        self._probes.labels(outcome).inc()

    def passed(self, outcome: str, seconds: float) -> None:
        """Count a pass."""
        self._passes.labels(outcome).observe(seconds)

    def queue(self, depth: Callable[[], float], age_seconds: Callable[[], float]) -> None:
        """Read the queue whenever somebody looks."""
        self._depth.set_function(depth)
        self._age.set_function(age_seconds)

    def servers(self, paused: Callable[[], float], failing: Callable[[], float]) -> None:
        """Count servers whose children may not be as they should whenever somebody looks."""
        self._paused.set_function(paused)
        self._failing.set_function(failing)

    def leader(self, leads: Callable[[], bool]) -> None:
        """Ask whether this process leads whenever somebody looks."""
        self._leader.set_function(lambda: float(leads()))

    def show(self, collector: Collector) -> None:
        """Show what somebody else counts."""
        self._registry.register(collector)

    def informers(self, silent_seconds: Callable[[], Mapping[str, float]]) -> None:
        """Ask how long ago each kind's watch was heard of whenever somebody looks."""
        self._registry.register(_Silence(silent_seconds))


@dataclass(frozen=True)
class _Silence(Collector):
    """The age of what is known of each kind."""

    seconds: Callable[[], Mapping[str, float]]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Say it for each kind."""
        family = GaugeMetricFamily(INFORMER_AGE.name, INFORMER_AGE.help, labels=INFORMER_AGE.labels)
        for kind, seconds in self.seconds().items():
            family.add_metric([kind], seconds)
        yield family


def _counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    return Counter(metric.name, metric.help, metric.labels, registry=registry)
