"""Token buckets, and what they do to requests."""

import json
from dataclasses import replace

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakwater_contract.access import Policy
from breakwater_contract.limits import Limits, Rates
from breakwater_runtime.app import Process
from breakwater_runtime.http.rate import Buckets
from breakwater_runtime.tools.policy import Policies
from tests.unit.runtime.fakes import ALICE, FakeBackend, FakeClock
from tests.unit.runtime.limited import limit

KEY = {"x-api-key": ALICE}
MCP = KEY | {"accept": "application/json, text/event-stream", "content-type": "application/json"}


def test_a_whole_minute_may_come_at_once_and_then_one_at_a_time(clock: FakeClock) -> None:
    buckets = Buckets(clock.elapsed)

    burst = [buckets.take("alice", 60) for _ in range(61)]
    clock.advance(seconds=1)
    later = [buckets.take("alice", 60).allowed for _ in range(2)]

    assert [verdict.allowed for verdict in burst] == [True] * 60 + [False]
    assert [verdict.remaining for verdict in burst[:2]] == [59, 58]
    assert (burst[-1].retry_seconds, burst[-1].reset_seconds) == (1, 60)
    assert later == [True, False]


def test_buckets_are_not_shared(clock: FakeClock) -> None:
    buckets = Buckets(clock.elapsed)

    assert [buckets.take(who, 1).allowed for who in ("a", "a", "b")] == [True, False, True]


def test_what_a_client_is_told_says_when_to_come_back(clock: FakeClock) -> None:
    buckets = Buckets(clock.elapsed)

    verdict = buckets.take("alice", 60)

    assert verdict.headers("principal") == {
        "ratelimit-policy": '"principal";q=60;w=60',
        "ratelimit": '"principal";r=59;t=1',
    }


@pytest.mark.requirement("G5", "T4")
def test_nobody_gets_rid_of_an_empty_bucket_by_making_up_others(clock: FakeClock) -> None:
    buckets = Buckets(clock.elapsed, entries_max=10)
    buckets.take("attacker", 1)

    made_up = [buckets.take(number, 1).allowed for number in range(1000)]

    assert not buckets.take("attacker", 1).allowed
    assert made_up.count(True) == 10
    assert len(buckets) <= 11


def test_full_buckets_are_forgotten(clock: FakeClock) -> None:
    buckets = Buckets(clock.elapsed, entries_max=10)
    for number in range(10):
        buckets.take(number, 60)
    clock.advance(minutes=1)

    assert buckets.take("new", 60).allowed
    assert len(buckets) == 1


@given(
    per_minute=st.integers(1, 100_000),
    waits=st.lists(st.floats(0, 90), min_size=1, max_size=80),
)
def test_no_window_of_a_minute_gets_more_than_two_minutes_worth(
    per_minute: int, waits: list[float]
) -> None:
    now = 0.0
    buckets = Buckets(lambda: now)
    allowed: list[float] = []

    for wait in waits:
        now += wait
        verdict = buckets.take("alice", per_minute)
        if verdict.allowed:
            allowed.append(now)
        else:
            assert verdict.retry_seconds > 0
        assert 0 <= verdict.remaining <= per_minute

    for begin in allowed:
        window = [each for each in allowed if begin <= each < begin + 60]
        assert len(window) <= 2 * per_minute


async def call(public: httpx2.AsyncClient, tool: str) -> httpx2.Response:
    params = {"name": tool, "arguments": {}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = MCP | {"mcp-protocol-version": "2025-06-18"}
    return await public.post("/mcp", content=json.dumps(message), headers=headers)


@pytest.mark.requirement("T4", "G5")
async def test_too_many_requests_are_refused_and_told_when_to_come_back(
    public: httpx2.AsyncClient, process: Process, clock: FakeClock
) -> None:
    limit(process, Limits(requests_per_minute=Rates(principal=2)))

    answers = [await call(public, "fast") for _ in range(3)]
    unknown = await public.get("/nothing")
    clock.advance(seconds=30)
    again = await public.get("/nothing", headers=KEY)

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["ratelimit"] == '"principal";r=1;t=30'
    assert answers[2].headers["ratelimit"] == '"principal";r=0;t=60'
    assert answers[2].headers["retry-after"] == "30"
    assert answers[2].json()["error"]["data"]["code"] == "RATE_LIMITED"
    assert (unknown.status_code, again.status_code) == (401, 404)
    sample = process.metrics.registry.get_sample_value
    assert sample("mcp_rate_limited_total", {"bucket": "principal"}) == 1
    assert sample("mcp_security_events_total", {"event": "rate.limited"}) == 1


async def test_a_replica_has_a_rate_of_its_own(
    public: httpx2.AsyncClient, process: Process
) -> None:
    limit(process, Limits(requests_per_minute=Rates(replica=1)))

    answers = [await public.get("/nothing", headers=KEY) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [404, 429]
    assert '"replica"' in answers[1].headers["ratelimit"]


@pytest.mark.requirement("T4")
async def test_a_tool_has_a_rate_of_its_own(
    public: httpx2.AsyncClient, process: Process, backend: FakeBackend
) -> None:
    limit(process, Limits(requests_per_minute=Rates(tools={"slow": 1})))

    answers = [await call(public, tool) for tool in ("slow", "slow", "fast", "fast")]

    assert [answer.status_code for answer in answers] == [200, 429, 200, 200]
    assert answers[1].json()["id"] == 1
    assert answers[1].json()["error"]["data"]["code"] == "RATE_LIMITED"


@pytest.mark.requirement("T4", "G5")
async def test_a_call_that_the_policies_deny_costs_the_others_nothing(
    public: httpx2.AsyncClient, process: Process
) -> None:
    allowed = Policy.model_validate(
        {"name": "fast", "effect": "Allow", "principals": ["alice"], "tools": ["fast"]}
    )
    limit(process, Limits(requests_per_minute=Rates(tools={"slow": 1})))
    open_to_all = process.live.loaded
    process.live.loaded = replace(open_to_all, policies=Policies((allowed,)))

    denied = [await call(public, "slow") for _ in range(3)]
    process.live.loaded = open_to_all
    let_through = [await call(public, "slow") for _ in range(2)]

    assert [answer.status_code for answer in denied] == [403] * 3
    assert [answer.status_code for answer in let_through] == [200, 429]


@pytest.mark.requirement("G5", "T4")
async def test_a_batch_costs_as_much_as_its_requests_one_by_one(
    public: httpx2.AsyncClient, process: Process, backend: FakeBackend
) -> None:
    limit(process, Limits(requests_per_minute=Rates(principal=3)))
    batch = [{"jsonrpc": "2.0", "id": number, "method": "ping"} for number in range(5)]

    answer = await public.post(
        "/mcp", content=json.dumps(batch), headers=MCP | {"mcp-protocol-version": "2025-03-26"}
    )

    errors = [each.get("error", {}).get("data", {}).get("code") for each in answer.json()]
    assert errors == [None, None, None, "RATE_LIMITED", "RATE_LIMITED"]
    assert len(backend.bodies) == 3
