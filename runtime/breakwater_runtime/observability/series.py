"""Metrics of our own make: histograms that cost little, and values that are read when asked for."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product

from prometheus_client import Metric as Family
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from breakwater_contract.metric import Metric

Values = Mapping[tuple[str, ...], float]
"""Values by the values of their labels."""


class Series:
    """One series of a histogram; observed from the event loop's thread alone."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Count what is at most each of `bounds`, and what is above all."""
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class Histogram:
    """A histogram without locks.

    The library's takes one lock for the sum and one for the bucket, which costs each request as
    much as its whole authentication; ours has one thread that writes.
    """

    def __init__(self, metric: Metric) -> None:
        """Make what the catalogue describes."""
        self._metric = metric
        self._bounds = [*map(str, metric.buckets), "+Inf"]
        self._series: dict[tuple[str, ...], Series] = {}
        if not metric.labels:
            self.labels()

    def labels(self, *values: object) -> Series:
        """Get the series of these labels; keep it where it is needed often."""
        key = tuple(map(str, values))
        if len(key) != len(self._metric.labels):
            raise ValueError(f"{self._metric.name} has the labels {self._metric.labels}")
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = Series(self._metric.buckets)
        return series

    def describe(self) -> Iterable[Family]:
        """Describe it to the registry."""
        yield self._family()

    def collect(self) -> Iterator[Family]:
        """Get every series as it is now."""
        family = self._family()
        for values, series in tuple(self._series.items()):
            total, buckets = 0, []
            for bound, count in zip(self._bounds, tuple(series.counts), strict=True):
                total += count
                buckets.append((bound, total))
            family.add_metric(values, buckets, series.sum)
        yield family

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(
            self._metric.name, self._metric.help, labels=self._metric.labels
        )


def known(metric: Metric) -> list[tuple[str, ...]]:
    """List the series that a counter has from the start: those of labels that are all closed."""
    if metric.kind != "counter" or set(metric.labels) != set(metric.values):
        return []
    return list(product(*(metric.values[label] for label in metric.labels)))


class Sampled:
    """A counter or gauge whose values somebody else has."""

    def __init__(self, metric: Metric) -> None:
        """Show what is in `counts` until it is known where else to read."""
        self._metric = metric
        self.counts: dict[tuple[str, ...], float] = dict.fromkeys(known(metric), 0.0)
        """What is counted without locks, from the event loop's thread alone."""
        self._read: Callable[[], Values] = lambda: self.counts

    def read_by(self, read: Callable[[], Values]) -> None:
        """Read the values by `read` from now on."""
        self._read = read

    def describe(self) -> Iterable[Family]:
        """Describe it to the registry."""
        yield self._family()

    def collect(self) -> Iterator[Family]:
        """Get the values as they are now."""
        family = self._family()
        for values, value in self._read().items():
            family.add_metric(values, value)
        yield family

    def _family(self) -> CounterMetricFamily | GaugeMetricFamily:
        kind = CounterMetricFamily if self._metric.kind == "counter" else GaugeMetricFamily
        return kind(self._metric.name, self._metric.help, labels=self._metric.labels)
