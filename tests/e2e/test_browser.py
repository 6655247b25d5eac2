"""A page in a real browser that calls the runtime with fetch and reads the stream as it comes."""

import pytest

from tests.support import browser
from tests.support.conformance.fronts import Front
from tests.support.conformance.server import TOOLS
from tests.support.keyproxy import KeyProxy

OLDER, MODERN = "2025-11-25", "2026-07-28"
PAGES = {"/": browser.PAGE.read_bytes()}
PROGRESS = {
    "method": "tools/call",
    "params": {"name": "test_tool_with_progress", "_meta": {"progressToken": "page"}},
}


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


def _proxy(front: Front) -> KeyProxy:
    """Put the page and the runtime behind one allowed origin; the page has the key, or not."""
    return KeyProxy("127.0.0.1", front.port, pages=PAGES, own_port=front.page_port)
