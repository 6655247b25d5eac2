"""What the process says of itself: the numbers are right, and what holds the loop up is named."""

import asyncio
import logging
import threading

import pytest

from breakwater_contract import process_metrics as catalogue
from breakwater_contract.metrics import RUNTIME_METRICS
from breakwater_runtime.backends.backend import PoolUse
from breakwater_runtime.backends.threads import Threads
from breakwater_runtime.management import samples
from breakwater_runtime.management.health import Check, Health
from breakwater_runtime.observability import process
from breakwater_runtime.observability.loop import LoopWatch
from breakwater_runtime.observability.metrics import Metrics
from tests.unit.runtime.fakes import FakeBackend, until


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(RUNTIME_METRICS)


@pytest.mark.requirement("T10")
def test_the_process_shows_processor_and_memory(metrics: Metrics) -> None:
    process.watch(metrics)
    value = metrics.registry.get_sample_value

    before = value("process_cpu_time_seconds_total", {"cpu_mode": "user"})
    assert before is not None
    while value("process_cpu_time_seconds_total", {"cpu_mode": "user"}) == before:
        sum(range(10_000))
    assert (value("process_memory_usage_bytes") or 0) > 1_000_000
    assert (value("process_unix_file_descriptor_count") or 0) > 2
    assert (value("process_thread_count") or 0) >= 1
    assert (value("process_uptime_seconds") or 0) > 0


@pytest.mark.requirement("T7", "T10")
def test_health_is_a_metric(metrics: Metrics) -> None:
    health, fault = Health(), ["it is away"]
    health.register(Check("database", lambda: fault[0] if fault else None))
    samples.watch_health(metrics, health)
    value = metrics.registry.get_sample_value

    assert value("mcp_health_check", {"check": "database"}) == 0.0
    assert value("mcp_ready") == 0.0
    fault.clear()
    assert value("mcp_health_check", {"check": "database"}) == 1.0
    assert value("mcp_ready") == 1.0


@pytest.mark.requirement("T22", "G7")
def test_the_use_of_a_pool_is_a_metric(metrics: Metrics) -> None:
    samples.watch_pools(metrics, [FakeBackend(pools={"connections": PoolUse(3, 5, 100, 2)})])

    got = {
        metric.name: metrics.registry.get_sample_value(metric.name, {"pool": "main/connections"})
        for metric in (
            *(catalogue.POOL_USED, catalogue.POOL_OPEN),
            *(catalogue.POOL_LIMIT, catalogue.POOL_WAITING),
        )
    }

    assert list(got.values()) == [3.0, 5.0, 100.0, 2.0]


@pytest.mark.requirement("T22")
async def test_threads_say_how_many_of_them_are_at_work() -> None:
    threads, release = Threads(limit=2), threading.Event()
    calls = [asyncio.create_task(threads.run(release.wait, {"timeout": 10})) for _ in range(3)]
    await until(lambda: threads.use == PoolUse(used=2, open=2, limit=2, waiting=1))

    release.set()
    await asyncio.gather(*calls)

    await until(lambda: not threads.use.used)
    assert threads.use.waiting == 0


class Telling(logging.Handler):
    """Keeps what was logged, and tells that something was."""

    def __init__(self, seen: threading.Event) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self._seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self._seen.set()


def held_by_this_function(until: threading.Event) -> None:
    """Hold the loop for as long as it takes to be seen."""
    until.wait(timeout=10)


@pytest.mark.requirement("T22")
async def test_what_holds_the_event_loop_up_is_named(metrics: Metrics) -> None:
    lag = metrics.histogram(catalogue.LOOP_LAG).labels()
    seen, blocked = threading.Event(), metrics.counter(catalogue.LOOP_BLOCKED)
    watch = asyncio.create_task(LoopWatch(lag, blocked).run())
    handler = Telling(seen)
    logger = logging.getLogger("breakwater_runtime.observability.loop")
    logger.addHandler(handler)
    try:
        await asyncio.sleep(0)
        held_by_this_function(seen)
        await until(lambda: sum(lag.counts) > 0)
    finally:
        logger.removeHandler(handler)
        watch.cancel()

    (record,) = handler.records
    assert any("held_by_this_function" in each for each in vars(record)["by"])
    assert metrics.registry.get_sample_value("mcp_event_loop_blocked_total") == 1.0
    assert lag.sum >= 0.4


async def test_a_loop_that_is_not_held_up_is_not_named(
    metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    lag = metrics.histogram(catalogue.LOOP_LAG).labels()
    watch = asyncio.create_task(LoopWatch(lag, metrics.counter(catalogue.LOOP_BLOCKED)).run())

    await until(lambda: sum(lag.counts) >= 3)
    watch.cancel()

    assert not caplog.records
