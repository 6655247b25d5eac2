import asyncio

import httpx2
import pytest

from breakwater_runtime.app import Process
from breakwater_runtime.calls import Call, Problem, Refused, RpcError
from tests.unit.runtime.fakes import ALICE, FakeBackend

NAME = "mcp_server_operation_duration_seconds_count"
HEADERS = {
    "x-api-key": ALICE,
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
}


def observed(process: Process, method: str, tool: str, outcome: str) -> float | None:
    labels = {"mcp_method_name": method, "gen_ai_tool_name": tool, "outcome": outcome}
    return process.metrics.registry.get_sample_value(NAME, labels)


@pytest.mark.parametrize(
    ("problem", "outcome"),
    [
        (None, "ok"),
        (RpcError(-32602, "no"), "caller_error"),
        (RpcError(-32603, "no"), "server_error"),
        (Refused(Problem.DENIED_BY_POLICY), "caller_error"),
        (Refused(Problem.RATE_LIMITED), "limited"),
        (Refused(Problem.INTERNAL), "server_error"),
        (ValueError("no"), "server_error"),
    ],
)
async def test_what_became_of_a_call_is_observed(
    public: httpx2.AsyncClient,
    process: Process,
    backend: FakeBackend,
    problem: Exception | None,
    outcome: str,
) -> None:
    async def work(call: Call) -> bytes:
        if problem is not None:
            raise problem
        return b"{}"

    backend.work = work
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo"}}

    await public.post("/mcp", json=message, headers=HEADERS)

    assert observed(process, "tools/call", "echo", outcome) == 1


@pytest.mark.parametrize(
    ("method", "name", "as_method", "as_tool"),
    [
        ("tools/call", "made-up", "tools/call", "_other"),
        ("tools/call", 7, "tools/call", "_other"),
        ("tools/list", "echo", "tools/list", ""),
        ("made/up", "echo", "_other", ""),
    ],
)
async def test_labels_come_from_closed_sets(
    public: httpx2.AsyncClient,
    process: Process,
    method: str,
    name: object,
    as_method: str,
    as_tool: str,
) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"name": name}}

    await public.post("/mcp", json=message, headers=HEADERS)

    assert observed(process, as_method, as_tool, "ok") == 1


async def test_a_call_that_is_cut_off_is_observed(
    public: httpx2.AsyncClient, process: Process, backend: FakeBackend
) -> None:
    begun = asyncio.Event()

    async def work(call: Call) -> bytes:
        begun.set()
        await asyncio.Event().wait()
        return b"{}"

    backend.work = work
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    asking = asyncio.ensure_future(public.post("/mcp", json=message, headers=HEADERS))
    await begun.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    assert observed(process, "tools/list", "", "cancelled") == 1
