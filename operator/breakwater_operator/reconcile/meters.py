"""The operator's own series, as the metric catalogue names them."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from breakwater_contract.metric import Metric
from breakwater_contract.metrics import (
    API_REQUESTS,
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
        self._requests = _counter(API_REQUESTS, registry)
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

    def request(self, verb: str, kind: str, code: str) -> None:
        """Count an answer of the API server."""
        self._requests.labels(verb, kind, code).inc()

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


def _counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    return Counter(metric.name, metric.help, metric.labels, registry=registry)
