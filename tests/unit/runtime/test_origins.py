"""Pages in browsers: whose may call, and what they may send and read."""

import httpx2
import pytest
from pydantic import ValidationError

from breakwater_contract.access import Access
from breakwater_runtime.app import Process
from breakwater_runtime.http.url_credentials import contains_credential
from tests.unit.runtime.fakes import ALICE, FakeBackend

CHAT = "https://chat.example"
KEY = {"x-api-key": ALICE}
MCP = {**KEY, "content-type": "application/json", "accept": "application/json, text/event-stream"}
MESSAGE = {"jsonrpc": "2.0", "id": 7, "method": "tools/list"}
PREFLIGHT = {"origin": CHAT, "access-control-request-method": "POST"}


@pytest.fixture
def access() -> Access:
    return Access(origins=(CHAT, "http://localhost:5173"), hosts=("server", "mcp.example:8443"))


@pytest.mark.requirement("A3", "G5")
async def test_a_page_of_an_allowed_origin_may_call_and_read(public: httpx2.AsyncClient) -> None:
    response = await public.post("/mcp", json=MESSAGE, headers={**MCP, "origin": CHAT})

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == CHAT
    assert "Mcp-Session-Id" in response.headers["access-control-expose-headers"]
    assert response.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.requirement("A3", "G5")
@pytest.mark.parametrize(
    "origin",
    [
        "https://chat.example.evil",
        "https://evil.example",
        "https://chat.example:444",
        "http://chat.example",
        "HTTPS://CHAT.EXAMPLE",
        "https://chat.example/",
        "null",
        "",
    ],
)
async def test_a_page_of_any_other_origin_is_refused_before_its_key_is_looked_at(
    public: httpx2.AsyncClient, backend: FakeBackend, process: Process, origin: str
) -> None:
    response = await public.post("/mcp", json=MESSAGE, headers={**MCP, "origin": origin})

    assert response.status_code == 403
    assert response.json()["error"]["data"]["code"] == "ORIGIN_NOT_ALLOWED"
    assert "access-control-allow-origin" not in response.headers
    assert response.headers["vary"] == "Origin"
    assert backend.bodies == []
    assert _events(process, "origin.refused") == 1


async def test_two_origins_are_none_that_is_allowed(public: httpx2.AsyncClient) -> None:
    headers = [*MCP.items(), ("origin", CHAT), ("origin", CHAT)]

    response = await public.post("/mcp", json=MESSAGE, headers=headers)

    assert response.status_code == 403


async def test_a_page_can_read_that_its_key_is_wrong(public: httpx2.AsyncClient) -> None:
    response = await public.post("/mcp", headers={"origin": CHAT, "x-api-key": "wrong"})

    assert response.status_code == 401
    assert response.headers["access-control-allow-origin"] == CHAT


@pytest.mark.requirement("A3")
async def test_a_preflight_is_answered_without_a_key(
    public: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    asked = "Authorization, X-API-Key, Mcp-Param-Region, MCP-Protocol-Version, X-Evil"

    response = await public.options(
        "/mcp", headers={**PREFLIGHT, "access-control-request-headers": asked}
    )

    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == CHAT
    assert response.headers["access-control-allow-methods"] == "GET, POST, DELETE, OPTIONS"
    assert response.headers["access-control-allow-headers"] == (
        "Authorization, X-API-Key, Mcp-Param-Region, MCP-Protocol-Version"
    )
    assert backend.bodies == []


async def test_options_that_are_no_preflight_need_a_key(public: httpx2.AsyncClient) -> None:
    response = await public.options("/mcp", headers={"origin": CHAT})

    assert response.status_code == 401


@pytest.mark.requirement("G5")
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("server", 200),
        ("server:1234", 200),
        ("SERVER", 200),
        ("mcp.example:8443", 200),
        ("mcp.example", 421),
        ("mcp.example:1", 421),
        ("evil.example", 421),
        ("server.evil.example", 421),
        ("", 421),
    ],
)
async def test_only_the_hosts_on_the_list_are_served(
    public: httpx2.AsyncClient, host: str, status: int
) -> None:
    response = await public.post("/mcp", json=MESSAGE, headers={**MCP, "host": host})

    assert response.status_code == status


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "https://*.example",
        "chat.example",
        "https://chat.example/",
        "https://Chat.example",
        "null",
        "https://a b",
    ],
)
def test_what_no_browser_sends_cannot_be_allowed(origin: str) -> None:
    with pytest.raises(ValidationError):
        Access(origins=(origin,))


@pytest.mark.requirement("W5", "K9")
@pytest.mark.parametrize(
    "query",
    [
        "api_key=x",
        "API-KEY=x",
        "apikey",
        "a=1&access_token=x",
        "X-Api-Key=x",
        "token=",
        "authorization=Bearer%20x",
        "%74oken=x",
        "state=eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2ln",
        "&".join(["a=1"] * 101),
    ],
)
async def test_a_credential_in_the_url_is_refused_whatever_else_is_sent(
    public: httpx2.AsyncClient, process: Process, query: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "breakwater")

    response = await public.post(f"/mcp?{query}", json=MESSAGE, headers=MCP)

    assert response.status_code == 400
    assert response.json()["error"]["data"]["code"] == "CREDENTIAL_IN_URL"
    ours = [record for record in caplog.records if record.name.startswith("breakwater")]
    assert [record.getMessage() for record in ours] == ["credential.in_url"]
    assert all(query not in str(vars(record)) for record in ours)
    assert _events(process, "credential.in_url") == 1


@pytest.mark.parametrize("query", [b"", b"session=abc", b"tokens=5", b"q=key", b"monkey=1"])
def test_an_ordinary_query_contains_no_credential(query: bytes) -> None:
    assert not contains_credential(query)


def _events(process: Process, event: str) -> float | None:
    return process.metrics.registry.get_sample_value("mcp_security_events_total", {"event": event})
