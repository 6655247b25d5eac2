"""Traces and metrics that a collector gets, asked for by clients of the public port."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest

from breakwater_contract.monitoring import Monitoring, Otlp, Tracing
from breakwater_runtime.app import Process
from breakwater_runtime.calls import Call, RpcError
from breakwater_runtime.observability import trace_context
from breakwater_runtime.observability.telemetry import Target, parse_headers
from tests.support.otlp import Collector, attributes, collector
from tests.unit.runtime.fakes import ALICE, FakeBackend, until

HEADERS = {
    "x-api-key": ALICE,
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
UNSAMPLED = f"00-{TRACE}-{PARENT}-00"
SAMPLED = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
def sink() -> Iterator[Collector]:
    with collector() as running:
        yield running


class Switch:
    """Turns telemetry on and off as the live settings do."""

    def __init__(self, process: Process, sink: Collector) -> None:
        self._telemetry = process.telemetry
        self.target = Target(Otlp(endpoint=sink.url), {"authorization": "Bearer secret"})

    def on(self, percent: int = 100, slow: str = "2s", per_second: int = 1000) -> None:
        tracing = Tracing(percent=percent, per_second=per_second)
        monitoring = Monitoring.model_validate({"slow": slow, "tracing": tracing})
        self._telemetry.apply(monitoring, self.target)

    def off(self) -> None:
        self._telemetry.apply(Monitoring(), None)


@pytest.fixture
async def switch(process: Process, sink: Collector) -> AsyncIterator[Switch]:
    switch = Switch(process, sink)
    yield switch
    switch.off()


def message(name: object = "echo", **meta: str) -> dict[str, Any]:
    params = {"name": name, "arguments": {"secret": "s3cret"}, "_meta": meta}
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}


async def call(public: httpx2.AsyncClient, name: str = "echo", **headers: str) -> httpx2.Response:
    return await public.post("/mcp", json=message(name), headers=HEADERS | headers)


@pytest.mark.requirement("T9", "A7")
async def test_a_call_is_a_trace_by_the_conventions(
    public: httpx2.AsyncClient, sink: Collector, switch: Switch
) -> None:
    switch.on()

    response = await call(public, **{"x-request-id": "order-66", "traceparent": SAMPLED})

    assert response.status_code == 200
    await until(lambda: len(sink.spans) == 2)
    (http,), (mcp,) = sink.named("POST /mcp"), sink.named("tools/call echo")
    assert (http.trace, http.parent) == (TRACE, PARENT)
    assert (mcp.trace, mcp.parent) == (TRACE, http.id)
    assert http.attributes["http.response.status_code"] == 200
    expected = {
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": "2025-03-26",
        "jsonrpc.request.id": "7",
        "gen_ai.tool.name": "echo",
        "gen_ai.operation.name": "execute_tool",
        "user.id": "alice",
        "langsmith.metadata.request_id": "order-66",
        "http.request.header.x-request-id": ["order-66"],
    }
    assert {key: mcp.attributes[key] for key in expected} == expected
    assert mcp.resource == {
        "service.name": "crm",
        "service.namespace": "team-a",
        "service.version": "1.2.3",
        "service.instance.id": "crm-0",
    }
    assert sink.headers[0]["authorization"] == "Bearer secret"
    assert "s3cret" not in str(sink.spans)
    assert ALICE not in str(sink.spans)


@pytest.mark.requirement("T9")
async def test_the_parent_in_a_message_comes_before_the_one_in_the_headers(
    public: httpx2.AsyncClient, sink: Collector, switch: Switch
) -> None:
    switch.on()
    other = "a" * 32

    await public.post(
        "/mcp",
        json=message(traceparent=f"00-{other}-{PARENT}-01"),
        headers=HEADERS | {"traceparent": SAMPLED},
    )

    await until(lambda: len(sink.spans) == 2)
    (http,), (mcp,) = sink.named("POST /mcp"), sink.named("tools/call echo")
    assert (mcp.trace, mcp.parent) == (other, PARENT)
    assert mcp.links == (http.id,)


@pytest.mark.requirement("T9")
@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (RpcError(-32602, "no"), "-32602"),
        (ValueError("no"), "ValueError"),
    ],
)
async def test_what_fails_is_kept_whatever_the_rate(
    public: httpx2.AsyncClient,
    backend: FakeBackend,
    sink: Collector,
    switch: Switch,
    failure: Exception,
    error: str,
) -> None:
    switch.on(percent=0)
    backend.failure = failure

    await call(public)

    await until(lambda: bool(sink.named("tools/call echo")))
    (span,) = sink.named("tools/call echo")
    assert span.failed
    assert span.attributes["error.type"] == error


@pytest.mark.requirement("T9")
async def test_what_is_slow_is_kept_whatever_the_rate(
    public: httpx2.AsyncClient, backend: FakeBackend, sink: Collector, switch: Switch
) -> None:
    async def work(_: Call) -> bytes:
        await asyncio.sleep(0.06)
        return b"{}"

    backend.work = work
    switch.on(percent=0, slow="50ms")

    await call(public)

    await until(lambda: len(sink.spans) == 2)
    assert len(sink.named("tools/call echo")) == 1


@pytest.mark.requirement("T9")
async def test_the_rest_is_dropped_by_rate_and_clients_have_no_say(
    public: httpx2.AsyncClient, process: Process, sink: Collector, switch: Switch
) -> None:
    switch.on(percent=0)
    for _ in range(5):
        await call(public, traceparent=SAMPLED)
    switch.on(percent=100, per_second=2)
    for _ in range(10):
        await call(public, traceparent=UNSAMPLED)

    await until(lambda: len(sink.named("tools/call echo")) >= 2)
    value = process.metrics.registry.get_sample_value
    await until(
        lambda: (
            sum(
                value("mcp_telemetry_spans_total", {"outcome": outcome}) or 0
                for outcome in ("exported", "sampled_out")
            )
            == 30
        )
    )
    assert len(sink.named("tools/call echo")) < 10


@pytest.mark.requirement("T9")
async def test_a_collector_that_says_nothing_stops_nothing(
    public: httpx2.AsyncClient, process: Process, sink: Collector, switch: Switch
) -> None:
    sink.silent.set()
    switch.on()
    await call(public)
    await until(lambda: bool(sink.headers))

    for _ in range(50):
        assert (await call(public)).status_code == 200
    queued = process.metrics.registry.get_sample_value("mcp_telemetry_queued_spans")

    assert queued == 100.0
    assert sink.spans == []


@pytest.mark.requirement("T9")
async def test_what_finds_no_room_is_counted(
    public: httpx2.AsyncClient,
    process: Process,
    sink: Collector,
    switch: Switch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from breakwater_runtime.observability.otlp import sender

    monkeypatch.setattr(sender, "QUEUE_SPANS_MAX", 10)
    sink.silent.set()
    switch.on()
    await call(public)
    await until(lambda: bool(sink.headers))

    for _ in range(8):
        await call(public)

    value = process.metrics.registry.get_sample_value
    assert value("mcp_telemetry_queued_spans") == 10.0
    assert value("mcp_telemetry_spans_total", {"outcome": "dropped"}) == 6.0


@pytest.mark.requirement("T9")
async def test_a_collector_that_refuses_is_told_of_once_and_asked_again(
    public: httpx2.AsyncClient,
    process: Process,
    sink: Collector,
    switch: Switch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink.statuses[:] = [400]
    switch.on()
    await call(public)
    await until(lambda: process.telemetry.fault is not None)

    assert process.telemetry.fault == "it answers 400"
    assert process.health.faults()["telemetry"] == "it answers 400"
    assert process.health.ready()
    assert "secret" not in caplog.text
    sink.statuses[:] = [503]
    await call(public)
    await until(lambda: bool(sink.spans))
    await until(lambda: process.telemetry.fault is None)


@pytest.mark.requirement("T9", "A6")
async def test_metrics_are_those_of_the_registry(
    public: httpx2.AsyncClient, process: Process, sink: Collector, switch: Switch
) -> None:
    await call(public)
    otlp = Otlp.model_validate({"endpoint": sink.url, "metrics": "50ms"})
    process.telemetry.apply(Monitoring(), Target(otlp))

    await until(lambda: "mcp.server.operation.duration" in sink.metrics)

    (point,) = sink.metrics["mcp.server.operation.duration"].histogram.data_points
    assert point.count == 1
    assert sum(point.bucket_counts) == 1
    assert attributes(point.attributes) == {
        "mcp.method.name": "tools/call",
        "gen_ai.tool.name": "echo",
        "outcome": "ok",
    }
    (http,) = sink.metrics["http.server.request.duration"].histogram.data_points
    assert attributes(http.attributes)["http.response.status_code"] == 200
    assert sink.metrics["http.server.request.duration"].unit == "s"
    assert sink.metrics["mcp_live_reloads"].sum.is_monotonic
    assert set(process.metrics.catalogue) == {
        family.name for family in process.metrics.registry.collect()
    }


@pytest.mark.requirement("T9")
async def test_off_means_off_again(
    public: httpx2.AsyncClient, process: Process, sink: Collector, switch: Switch
) -> None:
    switch.on()
    await call(public)
    await until(lambda: len(sink.spans) == 2)

    switch.off()
    await call(public)

    assert process.telemetry.spans is None
    assert not [thread for thread in threading.enumerate() if thread.name == "telemetry"]
    assert len(sink.spans) == 2


@pytest.mark.requirement("A7", "T9")
async def test_backends_get_the_request_s_id_and_its_trace(
    public: httpx2.AsyncClient, backend: FakeBackend, sink: Collector, switch: Switch
) -> None:
    await call(public, **{"x-request-id": "order-66", "traceparent": SAMPLED})
    switch.on()
    await call(public, **{"x-request-id": "order-67", "traceparent": SAMPLED})

    await until(lambda: len(sink.spans) == 2)
    off, on = (trace_context.outgoing(each) for each in backend.bodies)
    (mcp,) = sink.named("tools/call echo")
    assert off == {"x-request-id": "order-66", "traceparent": SAMPLED}
    assert on == {"x-request-id": "order-67", "traceparent": f"00-{TRACE}-{mcp.id}-01"}


@pytest.mark.parametrize(
    "hostile",
    [
        *(None, 7, "", "00-x", f"00-{'0' * 32}-{PARENT}-01", SAMPLED + "\r\nx: y", SAMPLED.upper()),
        *(f"ff-{TRACE}-{PARENT}-01", "é" * 55),
    ],
)
def test_a_parent_that_is_none_is_not_passed_on(hostile: object) -> None:
    params = {"_meta": {"traceparent": hostile, "tracestate": "a=b\r\nc: d"}}

    assert trace_context.of_message(params) is None


def test_a_state_that_would_be_another_header_is_not_passed_on() -> None:
    params = {"_meta": {"traceparent": SAMPLED, "tracestate": "a=b\r\nc: d"}}

    assert trace_context.of_message(params) == (SAMPLED, "")


def test_headers_for_the_collector_are_read_and_faults_tell_no_secret() -> None:
    content = b"x-api-key: abc\n\nno secret here\nbad name: secret\nok: v\xe9lo\n"

    headers, faults = parse_headers(content)

    assert headers == {"x-api-key": "abc"}
    assert [fault.partition(":")[0] for fault in faults] == ["line 3", "line 4", "line 5"]
    assert "secret" not in str(faults)
