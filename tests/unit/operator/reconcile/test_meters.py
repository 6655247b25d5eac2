"""What the operator shows of itself."""

from prometheus_client import CollectorRegistry, enable_created_metrics
from prometheus_client.exposition import generate_latest

from breakwater_contract.metrics import OPERATOR_METRICS
from breakwater_operator.reconcile.meters import Meters


def test_a_counter_brings_no_series_that_is_not_in_the_catalogue() -> None:
    enable_created_metrics()  # type: ignore[no-untyped-call] # it has no annotations
    registry = CollectorRegistry()
    meters = Meters(registry)

    meters.request("get", "Pod", "200")
    meters.passed("done", 0.1)
    meters.probe("verified")

    lines = generate_latest(registry).decode().splitlines()
    families = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert families <= {one.name + ("_total" * (one.kind == "counter")) for one in OPERATOR_METRICS}
