"""Telemetry, logs and profile of the process itself, with a collector beside it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.otlp import Collector, collector
from tests.unit.runtime.fakes import ALICE
from tests.unit.runtime.test_process import Running, call, client, reserved, running, settings

pytestmark = pytest.mark.process

MODULE = """
import sys, time
from mcp.server import MCPServer
from opentelemetry import trace

mcp = MCPServer("traced")
tracer = trace.get_tracer("weather")

@mcp.tool()
async def modules() -> str:
    heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto",
             "google.protobuf", "breakwater_runtime.observability.otlp", "cProfile")
    return " ".join(name for name in sys.modules if name.startswith(heavy))

@mcp.tool()
async def query(text: str) -> str:
    with tracer.start_as_current_span("database"):
        return text

@mcp.tool()
def synchronous() -> str:
    with tracer.start_as_current_span("file"):
        return "read"

@mcp.tool()
async def holds() -> str:
    time.sleep(1.2)
    return "held"
"""


class Traced:
    """A runtime process whose live settings change."""

    def __init__(self, runtime: Running, folder: Path) -> None:
        self.runtime = runtime
        self._live = folder / "live.json"
        self._loads = 1

    async def set(self, **settings: Any) -> None:
        self._live.write_text(json.dumps({"keysDirectory": "keys", **settings}))
        self._loads += 1
        await self.runtime.until_log("live settings loaded", times=self._loads)

    async def call(self, tool: str, **arguments: object) -> str:
        async with client(self.runtime, "2026-07-28") as connected:
            return await call(connected, tool, **arguments)


@pytest.fixture
def sink() -> Iterator[Collector]:
    with collector() as running:
        yield running


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[Traced]:
    (tmp_path / "weather.py").write_text(MODULE)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/alice").write_text(ALICE)
    (tmp_path / "live.json").write_text(json.dumps({"keysDirectory": "keys"}))
    with reserved() as ports:
        content = {**settings(ports), "liveFile": "live.json"}
        del content["live"]
        (tmp_path / "config.json").write_text(json.dumps(content))
        with running(tmp_path / "config.json", ports) as runtime:
            runtime.wait_until_ready()
            yield Traced(runtime, tmp_path)


def to(sink: Collector, **monitoring: Any) -> dict[str, Any]:
    tracing = {"percent": 100, "perSecond": 1000}
    return {"monitoring": {"tracing": tracing, **monitoring}, "otlp": {"endpoint": sink.url}}


@pytest.mark.requirement("T9")
async def test_nothing_is_loaded_until_it_is_wanted(traced: Traced, sink: Collector) -> None:
    before = await traced.call("modules")
    await traced.set(**to(sink))
    after = await traced.call("modules")

    assert before == ""
    assert "opentelemetry.sdk.trace" in after.split()


@pytest.mark.requirement("T9")
async def test_what_tools_trace_is_part_of_their_calls(traced: Traced, sink: Collector) -> None:
    await traced.set(**to(sink))

    assert await traced.call("query", text="x") == "x"
    assert await traced.call("synchronous") == "read"

    await traced.runtime.until(lambda: bool(sink.named("tools/call synchronous")))
    for inner, outer in (("database", "tools/call query"), ("file", "tools/call synchronous")):
        (tool,), (part,) = sink.named(outer), sink.named(inner)
        assert (part.trace, part.parent) == (tool.trace, tool.id)


@pytest.mark.requirement("T9", "T17")
async def test_what_waits_is_sent_before_the_process_ends(traced: Traced, sink: Collector) -> None:
    await traced.set(**to(sink))
    await traced.call("query", text="x")

    traced.runtime.process.terminate()

    assert await traced.runtime.stopped() == 0
    assert sink.named("tools/call query")


@pytest.mark.requirement("T9")
async def test_a_silent_collector_does_not_hold_the_end_up(traced: Traced, sink: Collector) -> None:
    sink.silent.set()
    await traced.set(**to(sink))
    await traced.call("query", text="x")

    traced.runtime.process.terminate()

    assert await traced.runtime.stopped() == 0


@pytest.mark.requirement("T8")
async def test_how_much_is_logged_changes_while_it_runs(traced: Traced) -> None:
    await traced.set(monitoring={"logRequests": True})
    await traced.call("query", text="s3cret")
    await traced.runtime.until_log("request")
    lines = traced.runtime.lines()
    (shape,) = [each for each in lines if each["message"] == "message" and each["target"]]
    whole = [each for each in lines if each["message"] == "request" and "mcp-name" in str(each)][-1]

    assert (shape["target"], shape["arguments"], shape["outcome"]) == ("query", ["text"], "ok")
    assert whole["context"]["principal"] == "alice"
    assert whole["context"]["request"]["headers"]["x-api-key"] == "[redacted]"
    assert whole["context"]["response"] == {"status": 200, "stream": False}
    assert whole["metrics"]["duration"] > 0
    assert whole["metrics"]["memory"] > 0
    assert "s3cret" not in traced.runtime.log.read_text()
    assert ALICE not in traced.runtime.log.read_text()

    await traced.set(monitoring={"audit": {"calls": True}, "slow": "1ms"})
    await traced.call("synchronous")
    await traced.call("holds")
    await traced.runtime.until_log("slow operation")
    audit = [each for each in traced.runtime.lines() if each.get("event") == "tool.called"]
    told = [each for each in traced.runtime.lines() if each["message"] == "slow operation"]
    # On a busy machine what comes without a tool may be slow too.
    slow = [each for each in told if each["tool"]]
    assert [each["target"] for each in audit] == ["synchronous", "holds"]
    assert all(each["correlationId"] and each["context"]["principal"] == "alice" for each in audit)
    assert slow[-1]["tool"] == "holds"
    assert slow[-1]["in_tool"] > 1


@pytest.mark.requirement("T22")
async def test_a_tool_that_holds_everybody_up_is_named(traced: Traced) -> None:
    await traced.call("holds")

    await traced.runtime.until_log("the event loop is held up")
    (line,) = [
        each for each in traced.runtime.lines() if each["message"] == "the event loop is held up"
    ]
    assert "weather.py" in line["by"][0]
    assert line["by"][0].endswith(" holds")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"monitoring": {"tracing": {}}}, "monitoring.tracing needs otlp.endpoint"),
        ({"otlp": {"endpoint": "collector:4317"}}, "otlp.endpoint: found"),
        ({"otlp": {"endpoint": "http://me:secret@collector"}}, "otlp.endpoint: found"),
        ({"otlp": {"endpoint": "http://x", "headersFile": "absent"}}, "absent: cannot be read"),
        ({"otlp": {"endpoint": "https://x", "caFile": "live.json"}}, "no certificates"),
        ({"monitoring": {"logLevel": "chatty"}}, "monitoring.logLevel: found"),
    ],
)
async def test_wrong_settings_are_refused_and_the_last_good_ones_stay(
    traced: Traced, wrong: dict[str, Any], said: str
) -> None:
    (traced.runtime.folder / "live.json").write_text(json.dumps({"keysDirectory": "keys", **wrong}))

    await traced.runtime.until_log("live settings refused, the last good ones stay")

    assert said in traced.runtime.log.read_text()
    assert await traced.call("query", text="x") == "x"
    async with httpx2.AsyncClient() as http:
        assert (await http.get(f"{traced.runtime.management}/ready")).status_code == 200
