"""What the metrics say of requests: every one once, by what it was and what became of it."""

import asyncio
import importlib
import pkgutil
import threading
from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any

import opentelemetry.semconv._incubating.attributes as newer_attributes
import opentelemetry.semconv._incubating.metrics as newer_metrics
import opentelemetry.semconv.attributes as attributes
import orjson
import pytest
from opentelemetry.semconv.schemas import Schemas

from breakwater_contract.metric import SEMCONV_VERSION
from breakwater_contract.metrics import RUNTIME_METRICS, SLOW_OPERATIONS
from breakwater_runtime import app
from breakwater_runtime.app import Process
from breakwater_runtime.calls import Call, Problem, Refused
from breakwater_runtime.observability.metrics import Metrics
from breakwater_runtime.observability.otlp.encoding import ATTRIBUTES
from tests.unit.runtime import wire
from tests.unit.runtime.asgi import Door
from tests.unit.runtime.fakes import ALICE, FakeBackend, FakeClock

REQUESTS = "http_server_request_duration_seconds_count"
LIMITED = {Problem.RATE_LIMITED, Problem.OVERLOADED, Problem.TOO_MANY_SESSIONS}

Work = Callable[[Call], Awaitable[bytes]]


def requests(process: Process) -> list[dict[str, str]]:
    """Get the labels of each request that was counted, as often as it was."""
    return [
        sample.labels
        for family in process.metrics.registry.collect()
        for sample in family.samples
        if sample.name == REQUESTS
        for _ in range(int(sample.value))
    ]


def value(process: Process, name: str) -> float | None:
    return process.metrics.registry.get_sample_value(name)


@pytest.mark.requirement("T10", "T12")
@pytest.mark.parametrize("problem", Problem, ids=lambda each: each.name)
async def test_an_outcome_says_whose_fault_it_is(
    door: Door, backend: FakeBackend, process: Process, problem: Problem
) -> None:
    backend.failure = Refused(problem)

    await door("/mcp").modern("tools/call", name="echo", arguments={}).ended()

    (request,) = requests(process)
    ours = "server_error" if problem.value.status >= 500 else "caller_error"
    assert request["outcome"] == ("limited" if problem in LIMITED else ours)
    labels = {"mcp_method_name": "tools/call", "gen_ai_tool_name": "echo"}
    sample = process.metrics.registry.get_sample_value
    operations = "mcp_server_operation_duration_seconds_count"
    assert sample(operations, labels | {"outcome": request["outcome"]}) == 1


@pytest.mark.requirement("T12")
async def test_the_kind_tells_tools_and_streams_from_what_has_one_answer(
    door: Door, process: Process
) -> None:
    await door("/mcp").modern("tools/call", name="echo", arguments={}).ended()
    await door("/mcp").modern("tools/list").ended()
    await door("/tools/echo").send("POST", b"{}").ended()
    await door("/nowhere").send("GET").ended()
    stream = door("/mcp/sse").send("GET")
    await stream.chunk()
    stream.disconnect()
    await stream.ended()

    found = [(it["http_route"], it["kind"], it["outcome"]) for it in requests(process)]
    assert sorted(found) == [
        ("/mcp", "tool", "ok"),
        ("/mcp", "unary", "ok"),
        ("/mcp/sse", "stream", "ok"),
        ("/tools/{name}", "tool", "ok"),
        ("_other", "unary", "caller_error"),
    ]


@pytest.mark.requirement("T22")
@pytest.mark.parametrize(("in_tool", "overhead"), [(None, 0.0), (1.5, 0.5)])
async def test_overhead_is_the_time_that_is_not_spent_in_the_tool(
    door: Door,
    backend: FakeBackend,
    process: Process,
    clock: FakeClock,
    in_tool: float | None,
    overhead: float,
) -> None:
    async def work(call: Call) -> bytes:
        clock.advance(seconds=2)
        call.tool_seconds = in_tool
        return b"{}"

    backend.work = work

    await door("/mcp").modern("tools/call", name="echo", arguments={}).ended()
    await door("/mcp").modern("tools/list").ended()

    assert value(process, "mcp_overhead_seconds_count") == 1
    assert value(process, "mcp_overhead_seconds_sum") == overhead


def talking(*progress: int) -> Work:
    async def work(call: Call) -> bytes:
        for each in progress:
            await call.channel.notify("notifications/progress", {"progress": each})
        return b"{}"

    return work


@pytest.mark.requirement("T10")
@pytest.mark.parametrize(
    ("url", "body", "accept", "messages"),
    [
        pytest.param("/mcp", None, None, 3, id="streamable-http"),
        pytest.param("/tools/echo", {}, "text/event-stream", 3, id="events"),
        # Its first line says that nothing stands against the call, its last one that this is all.
        pytest.param("/tools/echo", {}, "application/x-ndjson", 5, id="lines"),
    ],
)
async def test_messages_and_bytes_of_streams_are_counted(
    door: Door,
    backend: FakeBackend,
    process: Process,
    url: str,
    body: Any,
    accept: str | None,
    messages: int,
) -> None:
    backend.work = talking(1, 2)
    params = {"arguments": {}, "_meta": {"progressToken": 1}}
    if body is None:
        exchange = door(url).modern("tools/call", name="echo", **params)
    else:
        exchange = door(url, accept=accept).send("POST", orjson.dumps(body))

    sent = len(await exchange.rest())

    assert value(process, "mcp_stream_messages_total") == messages
    assert value(process, "mcp_stream_sent_bytes_total") == sent


@pytest.mark.requirement("K3", "T10")
async def test_what_keeps_a_stream_alive_is_bytes_and_no_message(
    door: Door, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("breakwater_runtime.protocol.ticker.TICK_SECONDS", 0.01)
    object.__setattr__(process.live.loaded.wire, "heartbeat_seconds", 0.01)
    stream = door("/mcp/sse").send("GET")
    sent = len(await stream.chunk())
    sent += len(await stream.chunk())
    stream.disconnect()
    await stream.ended()

    assert value(process, "mcp_stream_messages_total") == 1
    assert (value(process, "mcp_stream_sent_bytes_total") or 0) >= sent


@pytest.mark.requirement("T12")
async def test_the_first_message_of_a_stream_is_timed_and_that_of_a_tool_is_not(
    door: Door, backend: FakeBackend, process: Process
) -> None:
    backend.work = talking(1)
    await door("/mcp").modern("tools/call", name="echo", arguments={}).ended()
    assert value(process, "mcp_stream_first_message_seconds_count") == 0

    stream = door("/mcp/sse").send("GET")
    await stream.chunk()
    stream.disconnect()
    await stream.ended()

    assert value(process, "mcp_stream_first_message_seconds_count") == 1


@pytest.mark.requirement("T10", "T17")
def test_a_request_that_the_end_of_the_process_cuts_is_counted_once(
    process: Process, backend: FakeBackend
) -> None:
    begun = threading.Event()

    async def work(_: Call) -> bytes:
        begun.set()
        await asyncio.Event().wait()
        return b"{}"

    backend.work = work
    message = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}'
    head = (
        f"POST /mcp HTTP/1.1\r\nhost: x\r\nx-api-key: {ALICE}\r\ncontent-length: {len(message)}\r\n"
        "content-type: application/json\r\naccept: application/json, text/event-stream\r\n\r\n"
    )

    with (
        wire.serving(app.public(process), refusing=app.refusing(process)) as serving,
        wire.connect(serving.port) as client,
    ):
        client.sendall(head.encode() + message)
        assert begun.wait(wire.BOUND_SECONDS)
        serving.stop(within_seconds=0)
        assert client.status() == 503

    (request,) = requests(process)
    assert (request["http_response_status_code"], request["kind"]) == ("503", "tool")
    assert request["outcome"] == "server_error"


@pytest.mark.requirement("T10")
def test_every_counter_whose_labels_are_closed_is_there_from_the_start() -> None:
    registry = Metrics(RUNTIME_METRICS).registry

    absent = {
        metric
        for metric, family in zip(RUNTIME_METRICS, registry.collect(), strict=True)
        if metric.kind == "counter" and not metric.sampled and not family.samples
    }

    # Which tools there are is the backend's affair.
    assert absent == {SLOW_OPERATIONS}


@pytest.mark.requirement("T9")
def test_names_are_those_of_the_conventions_that_are_pinned() -> None:
    metrics = set(_constants(newer_metrics))
    labels = set(_constants(attributes)) | set(_constants(newer_attributes))

    assert {metric.otel for metric in RUNTIME_METRICS if metric.otel} <= metrics
    assert set(ATTRIBUTES.values()) <= labels
    assert f"https://opentelemetry.io/schemas/{SEMCONV_VERSION}" in {it.value for it in Schemas}


def _constants(package: ModuleType) -> Iterator[str]:
    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        module = importlib.import_module(found.name)
        yield from (each for each in vars(module).values() if isinstance(each, str))
