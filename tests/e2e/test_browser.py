"""A page in a real browser that calls the runtime with fetch and reads the stream as it comes."""

import asyncio
import json
from collections.abc import Iterator

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support import browser
from tests.support.conformance import fronts
from tests.support.conformance.fronts import Front
from tests.support.conformance.server import TOOLS
from tests.support.keyproxy import KeyProxy

OLDER, MODERN = "2025-11-25", "2026-07-28"
PAGES = {"/": browser.PAGE.read_bytes()}
PROGRESS = {
    "method": "tools/call",
    "params": {"name": "test_tool_with_progress", "_meta": {"progressToken": "page"}},
}


@pytest.mark.requirement("A9")
@pytest.mark.parametrize("version", [OLDER, MODERN])
async def test_a_page_with_the_key_lists_and_calls_tools_and_one_without_is_told_401(
    fixture_runtime: Front, version: str
) -> None:
    proxy = _proxy(fixture_runtime)
    common = {"endpoint": "/mcp", "version": version}
    good = {**common, "key": fixture_runtime.key}

    async with proxy.serving() as origin:
        unknown, wrong, listed, called = await browser.ask(
            origin,
            {**common, "method": "tools/list"},
            {**common, "method": "tools/list", "key": "wrong"},
            {**good, "method": "tools/list"},
            {**good, **PROGRESS},
        )

    assert (unknown["status"], wrong["status"]) == (401, 401)
    assert listed["status"] == 200
    (answer,) = browser.messages(listed)
    assert len(answer["result"]["tools"]) == len(TOOLS) + 1
    assert (called["status"], called["type"]) == (200, "text/event-stream")
    *reports, last = browser.messages(called)
    assert [report["params"]["progress"] for report in reports] == [0, 50, 100]
    assert last["result"]["content"][0]["text"] == "Tool with progress executed successfully"
    # The first report was there before the answer: it is streamed, not collected.
    reads = [each["read"] for each in called["messages"]]
    assert reads[0] < reads[-1]


@pytest.mark.parametrize("version", [OLDER, MODERN])
async def test_a_page_of_an_allowed_origin_calls_across_origins(
    fixture_runtime: Front, version: str
) -> None:
    call = {"version": version, "endpoint": fixture_runtime.url, **PROGRESS}

    async with _proxy(fixture_runtime).serving() as origin:
        unknown, called = await browser.ask(origin, call, {**call, "key": fixture_runtime.key})

    assert unknown["status"] == 401
    assert (called["status"], called["type"]) == (200, "text/event-stream")
    *_, last = browser.messages(called)
    assert last["result"]["content"][0]["text"] == "Tool with progress executed successfully"


async def test_a_page_of_another_origin_is_refused(fixture_runtime: Front) -> None:
    call = {"version": MODERN, "key": fixture_runtime.key, **PROGRESS}
    elsewhere = KeyProxy("127.0.0.1", fixture_runtime.port, pages=PAGES)

    async with elsewhere.serving() as origin:
        same, foreign = await browser.ask(
            origin,
            {**call, "endpoint": "/mcp"},
            {**call, "endpoint": fixture_runtime.url},
        )

    assert same["status"] == 403
    # The browser asks first whether the page may, is told no, and sends nothing.
    assert foreign == {"error": "TypeError"}


@pytest.mark.requirement("A9", "A1")
async def test_a_page_lists_and_calls_tools_over_sse(fixture_runtime: Front) -> None:
    stream = {"transport": "sse", "endpoint": "/mcp/sse"}
    good = {**stream, "key": fixture_runtime.key}
    call = {"method": "tools/call", "params": {"name": "test_simple_text", "arguments": {}}}

    async with _proxy(fixture_runtime).serving() as origin:
        unknown, wrong, listed, called = await browser.ask(
            origin,
            {**stream, "method": "tools/list"},
            {**stream, "method": "tools/list", "key": "wrong"},
            {**good, "method": "tools/list"},
            {**good, **call},
        )

    assert (unknown["status"], wrong["status"]) == (401, 401)
    for answer in (listed, called):
        assert (answer["type"], answer["first"]) == ("text/event-stream", "endpoint")
        assert (answer["posted"], answer["answer"]["id"]) == (202, 7)
    assert len(listed["answer"]["result"]["tools"]) == len(TOOLS) + 1
    assert called["answer"]["result"]["content"][0]["text"].startswith("This is a simple text")


@pytest.mark.requirement("A9", "A2")
async def test_a_page_lists_and_calls_tools_at_rpc(fixture_runtime: Front) -> None:
    common = {"version": OLDER, "endpoint": "/rpc"}
    good = {**common, "key": fixture_runtime.key}

    async with _proxy(fixture_runtime).serving() as origin:
        unknown, listed, called = await browser.ask(
            origin,
            {**common, "method": "tools/list"},
            {**good, "method": "tools/list"},
            {**good, **PROGRESS},
        )

    assert unknown["status"] == 401
    (answer,) = browser.messages(listed)
    assert len(answer["result"]["tools"]) == len(TOOLS) + 1
    assert called["type"] == "text/event-stream"
    assert [each.get("id") for each in browser.messages(called)] == [None, None, None, 1]


@pytest.mark.requirement("A9", "A4")
@pytest.mark.parametrize("version", [OLDER, MODERN])
async def test_a_page_that_leaves_cancels_its_call(slow_runtime: Front, version: str) -> None:
    call = {
        "method": "tools/call",
        "params": {"name": "wait", "_meta": {"progressToken": "page"}},
        "leaves": True,
    }
    labels = 'gen_ai_tool_name="wait",mcp_method_name="tools/call",outcome="cancelled"'
    count = f"mcp_server_operation_duration_seconds_count{{{labels}}}"

    async with _proxy(slow_runtime).serving() as origin:
        (left,) = await browser.ask(
            origin, {**call, "endpoint": "/mcp", "version": version, "key": slow_runtime.key}
        )
        await _until(slow_runtime, f"{count} 1.0")

    assert left == {"error": "AbortError"}


@pytest.mark.requirement("A9", "A6")
async def test_a_page_reads_metrics_in_both_forms(fixture_runtime: Front) -> None:
    proxy = KeyProxy("127.0.0.1", fixture_runtime.management_port, pages=PAGES)

    async with proxy.serving() as origin:
        text, as_json = await browser.ask(
            origin,
            {"transport": "page", "endpoint": "/metrics"},
            {"transport": "page", "endpoint": "/metrics.json"},
        )

    assert (text["status"], as_json["status"]) == (200, 200)
    families = {family.name for family in text_string_to_metric_families(text["text"])}
    named = {each["name"] for each in json.loads(as_json["text"])["metrics"]}
    assert {"mcp_server_operation_duration_seconds", "mcp_connections"} <= families & named


@pytest.fixture
def slow_runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    backend = {"python": {"server": "tests.support.slow_server:mcp"}}
    with fronts.runtime(tmp_path_factory.mktemp("slow"), backend) as front:
        yield front


async def _until(front: Front, line: str) -> None:
    """Wait until a line is on the page of metrics."""
    url = f"http://127.0.0.1:{front.management_port}/metrics"
    async with httpx2.AsyncClient() as http, asyncio.timeout(60):
        while line not in (await http.get(url)).text:  # noqa: ASYNC110 - nothing tells us
            await asyncio.sleep(0.1)


def _proxy(front: Front) -> KeyProxy:
    """Put the page and the runtime behind one allowed origin; the page has the key, or not."""
    return KeyProxy("127.0.0.1", front.port, pages=PAGES, own_port=front.page_port)
