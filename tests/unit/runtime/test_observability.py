import io
import json
import logging
from collections.abc import Iterator

import pytest

from breakwater_contract.metric import Metric
from breakwater_contract.metrics import AUTHENTICATION, LIVE_RELOADS, RUNTIME_METRICS
from breakwater_runtime.calls import Principal, Request
from breakwater_runtime.observability import logs
from breakwater_runtime.observability.metrics import Metrics


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Configure logging, and put back what pytest had."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    logs.configure("crm", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.requirement("T8")
def test_a_log_line_is_json_with_its_facts(stream: io.StringIO) -> None:
    logging.getLogger("some.module").warning("it happened", extra={"count": 7, "service": "x"})

    line = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("+00:00")
    assert line["metrics"].pop("memory") > 1_000_000
    assert line == {
        "level": "WARNING",
        "logger": "some.module",
        "message": "it happened",
        "service": "crm",
        "metrics": {},
        "count": 7,
    }


@pytest.mark.requirement("A7")
def test_a_log_line_names_the_request_and_who_asks(stream: io.StringIO) -> None:
    token = logs.CURRENT.set(Request("r-1", Principal("alice")))
    try:
        logging.getLogger().error("it failed\nforged: yes")
    finally:
        logs.CURRENT.reset(token)

    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["correlationId"] == "r-1"
    assert json.loads(line)["context"] == {"principal": "alice", "request": {"id": "r-1"}}


def test_an_exception_is_one_line_too(stream: io.StringIO) -> None:
    try:
        int("seven")
    except ValueError:
        logging.getLogger().exception("it failed")

    (line,) = stream.getvalue().splitlines()
    assert "ValueError: invalid literal" in json.loads(line)["exception"]


def test_libraries_are_quiet_until_something_is_wrong(stream: io.StringIO) -> None:
    logging.getLogger("mcp.server.lowlevel").info("processing request")
    logging.getLogger("mcp.server.lowlevel").warning("something is odd")

    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == ["WARNING"]


@pytest.mark.requirement("T10")
def test_the_registry_holds_the_catalogue_and_nothing_else() -> None:
    families = list(Metrics(RUNTIME_METRICS).registry.collect())

    assert {family.name for family in families} == {metric.name for metric in RUNTIME_METRICS}


@pytest.mark.parametrize("metric", [AUTHENTICATION, LIVE_RELOADS], ids=lambda each: each.name)
def test_counters_are_zero_from_the_start(metric: Metric) -> None:
    registry = Metrics(RUNTIME_METRICS).registry

    values = [
        registry.get_sample_value(f"{metric.name}_total", {"outcome": outcome})
        for outcome in metric.values["outcome"]
    ]

    assert set(values) == {0.0}


def test_a_metric_is_what_the_catalogue_says() -> None:
    metrics = Metrics(RUNTIME_METRICS)

    with pytest.raises(TypeError, match="mcp_authentication is a counter"):
        metrics.histogram(AUTHENTICATION)
