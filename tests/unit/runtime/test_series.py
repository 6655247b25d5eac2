import math

import pytest
from prometheus_client import Histogram as Theirs
from prometheus_client import generate_latest
from prometheus_client.registry import CollectorRegistry

from breakwater_contract.metric import Metric
from breakwater_contract.metrics import RUNTIME_METRICS
from breakwater_runtime.observability.metrics import Metrics

DURATION = Metric("it_seconds", "histogram", "Time.", ("tool",), (0.1, 0.2, 1.0))
LEVEL = Metric("level", "gauge", "Level.", ("pool",), sampled=True)
EVENTS = Metric("events", "counter", "Events.", sampled=True)


@pytest.mark.requirement("T10")
def test_a_histogram_shows_what_the_library_s_own_would() -> None:
    ours = Metrics([DURATION])
    theirs = CollectorRegistry()
    library = Theirs("it_seconds", "Time.", ["tool"], buckets=(0.1, 0.2, 1.0), registry=theirs)
    for value in (0.0, 0.1, 0.100001, 0.2, 0.9, 1.0, 7.0):
        ours.histogram(DURATION).labels("echo").observe(value)
        library.labels("echo").observe(value)

    def lines(registry: CollectorRegistry) -> list[str]:
        return [line for line in generate_latest(registry).decode().splitlines() if "#" not in line]

    assert lines(ours.registry) == [each for each in lines(theirs) if "_created" not in each]


def test_a_histogram_refuses_labels_that_it_does_not_have() -> None:
    with pytest.raises(ValueError, match="it_seconds has the labels"):
        Metrics([DURATION]).histogram(DURATION).labels("echo", "another")


def test_what_is_sampled_is_read_each_time() -> None:
    metrics = Metrics([LEVEL, EVENTS])
    levels: dict[tuple[str, ...], float] = {("threads",): 1.0}
    metrics.sampled(LEVEL, lambda: levels)
    metrics.sampled(EVENTS, lambda: 7)

    before = metrics.registry.get_sample_value("level", {"pool": "threads"})
    levels["threads",] = 2.0
    after = metrics.registry.get_sample_value("level", {"pool": "threads"})

    assert (before, after) == (1.0, 2.0)
    assert metrics.registry.get_sample_value("events_total") == 7.0


@pytest.mark.parametrize(
    "metric", [each for each in RUNTIME_METRICS if each.kind == "histogram"], ids=lambda m: m.name
)
def test_every_threshold_of_a_default_objective_is_a_bucket(metric: Metric) -> None:
    assert {0.1, 0.2, 0.5, 1.0, 2.0} <= set(metric.buckets)
    assert all(math.isfinite(bound) for bound in metric.buckets)
    assert list(metric.buckets) == sorted(metric.buckets)
