from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import httpx2
import pytest

from breakwater_contract.limits import Limits
from breakwater_runtime.app import Process
from breakwater_runtime.live.loaded import NOTHING
from tests.unit.runtime.fakes import ALICE, EXPIRED, FakeBackend, FakeClock

PATHS = ["/mcp", "/mcp/", "/", "/unknown", "/metrics", "/metrics.json", "/health", "/ready"]
METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "MADEUP"]
BAD_CREDENTIALS = [
    pytest.param({}, id="none"),
    pytest.param({"x-api-key": ""}, id="empty"),
    pytest.param({"x-api-key": "wrong"}, id="wrong"),
    pytest.param({"x-api-key": EXPIRED}, id="expired"),
    pytest.param({"x-api-key": f"{ALICE}x"}, id="longer"),
    pytest.param({"authorization": "Bearer wrong"}, id="wrong-bearer"),
    pytest.param({"authorization": "Bearer"}, id="empty-bearer"),
    pytest.param({"authorization": ALICE}, id="no-scheme"),
    pytest.param({"authorization": f"Basic {ALICE}"}, id="another-scheme"),
    pytest.param({"x-api-key": ALICE, "authorization": "Bearer wrong"}, id="two-that-differ"),
    pytest.param({"x-api-key": ALICE, "authorization": f"Basic {ALICE}"}, id="two-schemes"),
]
GOOD_CREDENTIALS = [
    pytest.param({"x-api-key": ALICE}, id="key"),
    pytest.param({"authorization": f"Bearer {ALICE}"}, id="bearer"),
    pytest.param({"authorization": f"bearer  {ALICE}"}, id="bearer-written-otherwise"),
    pytest.param({"x-api-key": ALICE, "authorization": f"Bearer {ALICE}"}, id="both"),
]
BODY_BYTES_MAX = Limits().bodies.max.bytes
KEY = {"x-api-key": ALICE}
MCP = {**KEY, "content-type": "application/json", "accept": "application/json, text/event-stream"}
MESSAGE = {"jsonrpc": "2.0", "id": 7, "method": "tools/list"}


@pytest.mark.requirement("A2", "T23")
@pytest.mark.parametrize("credentials", BAD_CREDENTIALS)
async def test_without_a_good_key_every_path_and_method_answers_401(
    public: httpx2.AsyncClient, backend: FakeBackend, credentials: dict[str, str]
) -> None:
    for method, path in product(METHODS, PATHS):
        response = await public.request(method, path, headers=credentials)

        assert response.status_code == 401, (method, path)
        assert response.headers["www-authenticate"] == "Bearer"
        assert ALICE not in response.text
    assert backend.bodies == []


@pytest.mark.requirement("A2")
@pytest.mark.parametrize("credentials", GOOD_CREDENTIALS)
async def test_a_good_key_lets_a_message_through(
    public: httpx2.AsyncClient, backend: FakeBackend, credentials: dict[str, str]
) -> None:
    response = await public.post("/mcp", json=MESSAGE, headers={**MCP, **credentials})

    assert response.status_code == 200
    assert len(backend.bodies) == 1


async def test_a_key_ends_at_its_time(
    public: httpx2.AsyncClient, process: Process, clock: FakeClock, keys: Path
) -> None:
    (keys / "bob").write_text("short-lived expires=2026-11-21T10:00:00Z")
    process.live.load()

    before = await public.get("/nothing", headers={"x-api-key": "short-lived"})
    clock.advance(hours=1)
    after = await public.get("/nothing", headers={"x-api-key": "short-lived"})

    assert (before.status_code, after.status_code) == (404, 401)


async def test_nobody_gets_in_while_there_is_no_key(
    public: httpx2.AsyncClient, process: Process
) -> None:
    process.live.loaded = NOTHING

    response = await public.post("/mcp", json=MESSAGE, headers=MCP)

    assert response.status_code == 401


@pytest.mark.parametrize(
    "path", ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"]
)
async def test_oauth_metadata_is_open_and_not_there(public: httpx2.AsyncClient, path: str) -> None:
    response = await public.get(path)

    assert response.status_code == 404
    assert response.json()["error"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-protected-resource/../../mcp",
        "/.well-known/oauth-protected-resource%2f..%2f..%2fmcp",
    ],
)
async def test_the_open_path_is_no_way_around_authentication(
    public: httpx2.AsyncClient, backend: FakeBackend, path: str
) -> None:
    response = await public.post(path, json=MESSAGE, headers={**MCP, "x-api-key": "wrong"})

    assert response.status_code in {401, 404}
    assert backend.bodies == []


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/mcp"])
async def test_with_a_key_there_is_nothing_but_mcp(public: httpx2.AsyncClient, path: str) -> None:
    response = await public.get(path, headers=KEY)

    assert response.status_code == 404


@pytest.mark.requirement("T19", "W6")
async def test_a_refusal_has_the_one_error_body(public: httpx2.AsyncClient) -> None:
    response = await public.get("/nothing", headers={**KEY, "x-request-id": "r-1"})

    assert response.json() == {
        "apiVersion": "1.0.0",
        "success": False,
        "error": {
            "code": "NOT_FOUND",
            "message": "There is nothing at this path.",
            "hint": "/capabilities lists what is served; MCP is at /mcp.",
            "retryable": False,
        },
        "requestId": "r-1",
        "correlationId": "r-1",
        "timestamp": "2026-11-21T09:00:00.000Z",
    }


async def test_at_mcp_a_refusal_is_a_json_rpc_error(public: httpx2.AsyncClient) -> None:
    response = await public.post("/mcp", json=MESSAGE, headers={"x-request-id": "r-1"})

    body = response.json()
    assert (body["jsonrpc"], body["id"], body["error"]["code"]) == ("2.0", None, -32600)
    assert body["error"]["data"]["code"] == "UNAUTHENTICATED"
    assert body["error"]["data"]["requestId"] == "r-1"


@pytest.mark.requirement("A7")
@pytest.mark.parametrize(
    ("offered", "returned"),
    [
        pytest.param("Order-1.2_b", "Order-1.2_b", id="accepted"),
        pytest.param("x" * 128, "x" * 128, id="longest"),
        pytest.param("x" * 129, "made-1", id="too-long"),
        pytest.param("a b", "made-1", id="space"),
        pytest.param('{"forged": 1}', "made-1", id="punctuation"),
        pytest.param("", "made-1", id="empty"),
        pytest.param(None, "made-1", id="absent"),
    ],
)
async def test_the_request_id_is_accepted_or_made(
    public: httpx2.AsyncClient, offered: str | None, returned: str
) -> None:
    headers = {} if offered is None else {"x-request-id": offered}

    response = await public.get("/nothing", headers=headers)

    assert response.headers["x-request-id"] == returned
    assert response.json()["requestId"] == returned


@pytest.mark.requirement("A3")
@pytest.mark.parametrize("credentials", [{}, KEY])
async def test_every_answer_has_security_headers(
    public: httpx2.AsyncClient, credentials: dict[str, str]
) -> None:
    response = await public.get("/nothing", headers=credentials)

    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "server" not in response.headers


@pytest.mark.requirement("A3", "G5")
@pytest.mark.parametrize("origin", ["https://evil.example", "http://server", "null"])
async def test_no_page_in_a_browser_may_call(
    public: httpx2.AsyncClient, backend: FakeBackend, origin: str
) -> None:
    response = await public.post("/mcp", json=MESSAGE, headers={**MCP, "origin": origin})

    assert response.status_code == 403
    assert response.json()["error"]["data"]["code"] == "ORIGIN_NOT_ALLOWED"
    assert backend.bodies == []


async def test_a_preflight_needs_no_key_and_allows_nothing(public: httpx2.AsyncClient) -> None:
    response = await public.options(
        "/mcp",
        headers={"origin": "https://chat.example", "access-control-request-method": "POST"},
    )

    assert response.status_code == 403
    assert not [name for name in response.headers if name.startswith("access-control-")]


@pytest.mark.requirement("T5")
async def test_a_body_beyond_the_limit_is_refused_by_its_length(
    public: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    body = b" " * (BODY_BYTES_MAX + 1)

    response = await public.post("/mcp", content=body, headers=MCP)

    assert response.status_code == 413
    assert response.headers["connection"] == "close"
    assert backend.bodies == []


@pytest.mark.requirement("T5")
async def test_a_body_without_a_length_is_read_up_to_the_limit(
    public: httpx2.AsyncClient,
) -> None:
    read = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b" " * 1024 * 1024

    response = await public.post("/mcp", content=chunks(), headers=MCP)

    assert response.status_code == 413
    assert read <= BODY_BYTES_MAX // (1024 * 1024) + 1


async def test_a_failure_is_answered_without_its_reason(
    public: httpx2.AsyncClient, backend: FakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    backend.failure = RuntimeError("password=hunter2")

    response = await public.post("/mcp", json=MESSAGE, headers=MCP)

    assert response.status_code == 500
    assert "hunter2" not in response.text
    assert "request failed" in caplog.text


async def test_metrics_know_paths_and_methods_from_closed_sets_only(
    public: httpx2.AsyncClient, process: Process
) -> None:
    for method, path in [("MADEUP", "/mcp"), ("GET", "/made/up"), ("GET", "/mcp")]:
        await public.request(method, path, headers=KEY)

    series = {
        (sample.labels["http_request_method"], sample.labels["http_route"])
        for family in process.metrics.registry.collect()
        for sample in family.samples
        if sample.name == "http_server_request_duration_seconds_count"
    }
    assert series == {("_other", "/mcp"), ("GET", "_other"), ("GET", "/mcp")}


@pytest.mark.parametrize("outcome", ["missing", "conflicting", "unknown", "expired", "accepted"])
async def test_what_came_of_credentials_is_counted(
    public: httpx2.AsyncClient, process: Process, outcome: str
) -> None:
    headers = {
        "missing": {},
        "conflicting": {"x-api-key": ALICE, "authorization": "Bearer x"},
        "unknown": {"x-api-key": "x"},
        "expired": {"x-api-key": EXPIRED},
        "accepted": KEY,
    }[outcome]
    registry = process.metrics.registry
    assert registry.get_sample_value("mcp_authentication_total", {"outcome": outcome}) == 0

    await public.get("/nothing", headers=headers)

    assert registry.get_sample_value("mcp_authentication_total", {"outcome": outcome}) == 1
