"""Calls that take too long, in every form of answer."""

import asyncio
from typing import Any

import pytest
from starlette.types import ASGIApp

from breakwater_contract.limits import Limits, Timeouts
from breakwater_runtime import app
from breakwater_runtime.app import Process
from breakwater_runtime.calls import Call
from breakwater_runtime.observability.metrics import Metrics
from tests.unit.runtime.asgi import Caller, Door, event
from tests.unit.runtime.fakes import ALICE, FakeBackend, until
from tests.unit.runtime.limited import limit

pytestmark = pytest.mark.requirement("W1", "A4")

KEY: dict[str, Any] = {"x_api_key": ALICE}


class Slow:
    """A backend's work that waits for ever, unless it is asked something else."""

    def __init__(self) -> None:
        self.running = 0
        self.stubborn = False

    async def __call__(self, call: Call) -> bytes:
        if call.method == "quick":
            return b"{}"
        self.running += 1
        try:
            if call.method == "talk":
                await call.channel.notify("notifications/progress", {"progressToken": 1})
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not self.stubborn:
                raise
        finally:
            self.running -= 1
        await asyncio.sleep(0)
        return b'{"late": true}'


@pytest.fixture
def slow(process: Process, backend: FakeBackend) -> Slow:
    work = Slow()
    backend.work = work
    backend.tools = {"slow"}
    limit(process, Limits(timeouts=Timeouts(call="50ms")))
    return work


@pytest.fixture
def public_app(process: Process, slow: Slow) -> ASGIApp:
    return app.public(process)


def request(number: int, method: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": {}}


def too_slow(message: dict[str, Any]) -> bool:
    error = message.get("error", {})
    data = error.get("data", {})
    return (error.get("code"), data.get("code"), data.get("retryable")) == (
        -32603,
        "TIMEOUT",
        False,
    )


async def test_as_json_in_both_eras(public_app: ASGIApp, slow: Slow) -> None:
    caller = Caller(public_app, **KEY)

    modern, older = caller.modern("slow"), caller.older("slow")

    assert too_slow(await modern.json())
    assert too_slow(await older.json())
    assert (modern.status, older.status, slow.running) == (200, 200, 0)


async def test_in_a_batch_the_others_are_answered(public_app: ASGIApp, slow: Slow) -> None:
    exchange = Caller(public_app).post([request(1, "slow"), request(2, "quick")], **KEY)

    late, quick = await exchange.json()

    assert too_slow(late)
    assert quick["result"] == {}
    assert slow.running == 0


async def test_where_a_stream_has_begun(public_app: ASGIApp) -> None:
    exchange = Caller(public_app).post(request(1, "talk"), **KEY)
    await exchange.ended()

    progress, last = event(await exchange.chunk()), event(await exchange.chunk())

    assert progress["method"] == "notifications/progress"
    assert too_slow(last)


@pytest.mark.requirement("G3")
async def test_at_the_plain_endpoints(slow: Slow, door: Door) -> None:
    exchange = door("/tools/slow").post({})

    answer = await exchange.json()

    assert (exchange.status, answer["error"]["code"]) == (504, "TIMEOUT")
    assert slow.running == 0


async def test_it_counts_as_a_failure_of_the_server(
    process: Process, slow: Slow, public_app: ASGIApp
) -> None:
    await Caller(public_app, **KEY).modern("tools/call", name="slow").json()

    assert slow.running == 0
    assert count(process.metrics, "slow", "server_error") == 1


async def test_a_new_limit_holds_for_what_begins_from_now_on(
    process: Process, slow: Slow, public_app: ASGIApp
) -> None:
    caller = Caller(public_app, **KEY)
    limit(process, Limits(timeouts=Timeouts(call="1h")))
    before = caller.modern("slow")
    await until(lambda: slow.running == 1)
    limit(process, Limits(timeouts=Timeouts(call="50ms")))

    assert too_slow(await caller.modern("slow").json())
    assert slow.running == 1
    before.disconnect()
    await before.ended()
    assert slow.running == 0


async def test_a_client_that_leaves_at_the_same_time_gets_no_answer(
    public_app: ASGIApp, slow: Slow
) -> None:
    exchanges = [Caller(public_app, **KEY).modern("slow") for _ in range(50)]
    await until(lambda: slow.running == 50)
    await asyncio.sleep(0.045)
    for exchange in exchanges:
        exchange.disconnect()

    for exchange in exchanges:
        await exchange.ended()
        assert exchange.status in {0, 200}
    assert slow.running == 0


async def test_a_result_that_comes_all_the_same_is_one(public_app: ASGIApp, slow: Slow) -> None:
    slow.stubborn = True

    answer = await Caller(public_app, **KEY).modern("slow").json()

    assert answer["result"] == {"late": True}


async def test_quick_ones_are_not_touched(public_app: ASGIApp) -> None:
    caller = Caller(public_app, **KEY)

    for _ in range(20):
        assert (await caller.modern("quick").json())["result"] == {}
        await asyncio.sleep(0.01)


def count(metrics: Metrics, tool: str, outcome: str) -> float:
    name = "mcp_server_operation_duration_seconds_count"
    labels = {"mcp_method_name": "tools/call", "gen_ai_tool_name": tool, "outcome": outcome}
    return metrics.registry.get_sample_value(name, labels) or 0
