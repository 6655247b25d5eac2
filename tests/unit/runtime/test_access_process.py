"""Who may, asked of the process itself: an OAuth server beside it, settings that change."""

import json
import time
from collections.abc import Iterator
from itertools import product
from typing import Any

import httpx2
import pytest

from tests.support.oauth import OAuthServer
from tests.unit.runtime.fakes import ALICE
from tests.unit.runtime.test_process import Running, prepare, reserved, running, settings

pytestmark = pytest.mark.process

AUDIENCE = "https://mcp.example/mcp"
PATHS = ["/mcp", "/", "/rpc", "/sse", "/mcp/sse", "/tools", "/capabilities", "/metrics", "/health"]
METHODS = ["GET", "POST", "PUT", "DELETE"]
MCP = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "forecast", "arguments": {"city": "Oslo"}},
}


@pytest.fixture(scope="module")
def issuer() -> Iterator[OAuthServer]:
    with OAuthServer(audience=AUDIENCE).serving() as server:
        yield server


def live(issuer: OAuthServer, **access: Any) -> str:
    oauth = {
        "publicUrl": AUDIENCE,
        "jwt": {"issuer": issuer.issuer, "audiences": [AUDIENCE]},
        "failuresPerMinute": 100_000,
    }
    return json.dumps({"keysDirectory": "keys", "access": {**oauth, **access}})


@pytest.fixture(scope="module")
def runtime(issuer: OAuthServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("access")
    with reserved() as ports:
        content = {**settings(ports), "liveFile": "live.json"}
        del content["live"]
        config = prepare(folder, content)
        (folder / "live.json").write_text(live(issuer))
        (folder / "keys/expired").write_text("expired-key expires=2026-01-01T00:00:00Z\n")
        with running(config, ports) as started:
            started.wait_until_ready()
            yield started


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.requirement("A2", "K9", "T8", "T23")
async def test_at_every_door_a_bad_credential_is_refused_audited_and_repeated_nowhere(
    runtime: Running, issuer: OAuthServer
) -> None:
    stranger = OAuthServer(issuer.issuer, AUDIENCE)
    bad = {
        "missing": {},
        "wrong key": {"x-api-key": "wrong-key-0123456789"},
        "expired key": {"x-api-key": "expired-key"},
        "expired token": bearer(issuer.token(exp=int(time.time()) - 3600)),
        "token for another": bearer(issuer.token(aud="https://another.example")),
        "token of another": bearer(issuer.token(iss="https://another.example")),
        "token of a stranger": bearer(stranger.token("ec")),
        "key in the URL": {"x-api-key": ALICE},
    }
    async with httpx2.AsyncClient(base_url=runtime.public) as http:
        for (name, headers), path, method in product(bad.items(), PATHS, METHODS):
            in_url = name == "key in the URL"
            params = {"api_key": "in-the-url"} if in_url else {}
            response = await http.request(method, path, headers=headers, params=params)

            assert response.status_code == (400 if in_url else 401), (name, method, path)
            for value in headers.values():
                assert value.removeprefix("Bearer ") not in response.text
            if not in_url:
                sent = "error=" in response.headers["www-authenticate"]
                assert sent is (name != "missing")

    lines = runtime.lines()
    events = [line["event"] for line in lines if "event" in line]
    each = len(PATHS) * len(METHODS)
    assert events.count("authentication.failed") == each * (len(bad) - 1)
    assert events.count("credential.in_url") == each
    assert all(line["correlationId"] for line in lines if "event" in line)
    log = runtime.log.read_text()
    secrets = [value for headers in bad.values() for value in headers.values()]
    assert not [secret for secret in (*secrets, "in-the-url") if secret in log]


@pytest.mark.requirement("K1")
async def test_a_client_finds_the_issuer_gets_a_token_and_calls(runtime: Running) -> None:
    async with httpx2.AsyncClient(base_url=runtime.public, timeout=30) as http:
        challenge = (await http.post("/mcp")).headers["www-authenticate"]
        url = challenge.partition('resource_metadata="')[2].rstrip('"')
        metadata = (await http.get(httpx2.URL(url).path)).json()
        (server,) = metadata["authorization_servers"]
        document = (await http.get(f"{server}/.well-known/openid-configuration")).json()
        granted = (await http.post(document["token_endpoint"], data={"client_id": "bot"})).json()
        called = await http.post(
            "/mcp", json=CALL, headers={**MCP, **bearer(granted["access_token"])}
        )

    assert metadata["resource"] == AUDIENCE
    assert called.status_code == 200
    assert "sun in Oslo" in called.text


@pytest.mark.requirement("G2", "A10")
async def test_what_changes_is_taken_over_by_the_running_process(
    runtime: Running, issuer: OAuthServer
) -> None:
    token = bearer(issuer.token())
    async with httpx2.AsyncClient(base_url=runtime.public, timeout=30) as http:

        async def asked(message: dict[str, Any], headers: dict[str, str]) -> httpx2.Response:
            return await http.post("/mcp", json=message, headers={**MCP, **headers})

        async def changed(status: int, headers: dict[str, str], **access: Any) -> httpx2.Response:
            (runtime.folder / "live.json").write_text(live(issuer, **access))
            end = time.monotonic() + 30
            while (answer := await asked(CALL, headers)).status_code != status:
                assert time.monotonic() < end, runtime.log.read_text()
            return answer

        deny = {"name": "no-weather", "effect": "Deny", "principals": ["jwt:*"], "tools": ["*"]}
        allow = {"name": "all", "effect": "Allow", "principals": ["*"], "tools": ["*"]}
        denied = await changed(403, token, policies=[deny, allow])
        listed = await asked(LIST, token)
        others = await asked(CALL, {"x-api-key": ALICE})
        entered = await changed(200, {}, permissive={"until": "2999-01-01"})
        wrong = await asked(CALL, {"x-api-key": "wrong"})
        await changed(401, {})

    assert denied.json()["error"]["data"]["rule"] == "no-weather"
    assert "forecast" not in listed.text
    assert (others.status_code, entered.status_code, wrong.status_code) == (200, 200, 401)
    permissive = [
        line for line in runtime.lines() if line.get("event") == "authentication.permissive"
    ]
    assert permissive
    assert {line["address"] for line in permissive} == {"127.0.0.1"}
