"""The registry: every metric of the catalogue, and nothing else."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Info,
    disable_created_metrics,
)

from breakwater_contract.metric import Metric
from breakwater_runtime.observability.series import Histogram, Sampled, Values, known

K = TypeVar("K", Counter, Gauge, Histogram, Info, Sampled)

KINDS = {"counter": Counter, "gauge": Gauge, "info": Info}


class Metrics:
    """The metrics of one process."""

    def __init__(self, catalogue: Iterable[Metric]) -> None:
        """Register each metric, with the series whose label values are all known."""
        disable_created_metrics()  # type: ignore[no-untyped-call] # it has no annotations

        self.registry = CollectorRegistry(auto_describe=True)
        self.catalogue = {metric.name: metric for metric in catalogue}
        self._made = {metric.name: self._make(metric) for metric in self.catalogue.values()}

    def counter(self, metric: Metric) -> Counter:
        """Get a counter of the catalogue."""
        return self._get(metric, Counter)

    def gauge(self, metric: Metric) -> Gauge:
        """Get a gauge of the catalogue."""
        return self._get(metric, Gauge)

    def histogram(self, metric: Metric) -> Histogram:
        """Get a histogram of the catalogue."""
        return self._get(metric, Histogram)

    def info(self, metric: Metric) -> Info:
        """Get an info metric of the catalogue."""
        return self._get(metric, Info)

    def counts(self, metric: Metric) -> dict[tuple[str, ...], float]:
        """Get the values of a counter that the event loop's thread alone counts in."""
        return self._get(metric, Sampled).counts

    def sampled(self, metric: Metric, read: Callable[[], Values | float]) -> None:
        """Have a metric read by `read` when it is asked for; a number is one without labels."""

        def values() -> Values:
            found = read()
            return {(): found} if isinstance(found, int | float) else found

        self._get(metric, Sampled).read_by(values)

    def _get(self, metric: Metric, kind: type[K]) -> K:
        made = self._made[metric.name]
        if not isinstance(made, kind):
            raise TypeError(f"{metric.name} is a {metric.kind}")
        return made

    def _make(self, metric: Metric) -> Any:
        labels = () if metric.kind == "info" else metric.labels
        if metric.kind == "histogram" or metric.sampled:
            own = Histogram(metric) if metric.kind == "histogram" else Sampled(metric)
            self.registry.register(own)
            return own
        made = KINDS[metric.kind](metric.name, metric.help, labels, registry=self.registry)
        for values in known(metric) if labels else ():
            made.labels(*values)
        return made
