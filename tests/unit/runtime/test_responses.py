"""Results that are too large, in every form of answer."""

import asyncio
import json
from typing import Any

import pytest
from starlette.types import ASGIApp

from breakwater_contract.limits import Limits, Responses
from breakwater_runtime import app
from breakwater_runtime.app import Process
from breakwater_runtime.calls import Call
from tests.unit.runtime.asgi import Caller, event
from tests.unit.runtime.fakes import ALICE, FakeBackend
from tests.unit.runtime.limited import limit

pytestmark = pytest.mark.requirement("T5")

KEY = {"x_api_key": ALICE}


@pytest.fixture
def public_app(process: Process, backend: FakeBackend) -> ASGIApp:
    async def work(call: Call) -> bytes:
        if call.method == "talk":
            await call.channel.notify("notifications/progress", {"progressToken": 1})
            await asyncio.sleep(0)
        return json.dumps({"text": "x" * 2000 if call.method != "small" else "x"}).encode()

    backend.work = work
    limit(process, Limits(responses=Responses(max="1Ki")))
    return app.public(process)


def request(number: int, method: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": {}}


def refused(message: dict[str, Any]) -> bool:
    error = message.get("error", {})
    return error.get("data", {}).get("code") == "RESPONSE_TOO_LARGE" and "1024" in error["message"]


async def test_as_json_in_both_eras(public_app: ASGIApp) -> None:
    caller = Caller(public_app)

    modern = caller.send(
        "POST",
        json.dumps(MODERN).encode(),
        mcp_protocol_version="2026-07-28",
        mcp_method="large",
        **KEY,
    )
    older = caller.post(request(2, "large"), **KEY)

    assert refused(await modern.json())
    assert refused(await older.json())
    assert (modern.status, older.status) == (200, 200)


MODERN = request(1, "large") | {
    "params": {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    }
}


async def test_in_a_batch_the_others_are_answered(public_app: ASGIApp) -> None:
    exchange = Caller(public_app).post([request(1, "large"), request(2, "small")], **KEY)

    large, small = await exchange.json()

    assert refused(large)
    assert small["result"] == {"text": "x"}


async def test_where_a_stream_has_begun(public_app: ASGIApp) -> None:
    exchange = Caller(public_app).post(request(1, "talk"), **KEY)
    await exchange.ended()

    progress, last = event(await exchange.chunk()), event(await exchange.chunk())

    assert progress["method"] == "notifications/progress"
    assert refused(last)


async def test_the_limit_itself_is_allowed(process: Process, backend: FakeBackend) -> None:
    async def work(call: Call) -> bytes:
        return b'"' + b"x" * 1022 + b'"'

    backend.work = work
    limit(process, Limits(responses=Responses(max="1Ki")))

    answer = await Caller(app.public(process)).post(request(1, "any"), **KEY).json()

    assert len(answer["result"]) == 1022
