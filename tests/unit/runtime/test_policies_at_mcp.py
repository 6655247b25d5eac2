"""Policies as clients meet them at /mcp: refusals, challenges, lists."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from breakwater_contract.access import Access, Jwt, Policy
from breakwater_runtime.app import Process
from breakwater_runtime.calls import Call
from tests.support.oauth import OAuthServer
from tests.unit.runtime.fakes import ALICE, FakeBackend, FakeClock

URL = "https://mcp.example/mcp"
HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
LISTS = {
    "tools/list": {"tools": [{"name": name} for name in ("get_a", "set_a", "delete_a", "other")]},
    "prompts/list": {"prompts": [{"name": "help"}, {"name": "secret"}]},
    "resources/list": {"resources": [{"uri": "docs://a"}, {"uri": "file:///a"}]},
    "resources/templates/list": {"resourceTemplates": [{"uriTemplate": "docs://{a}"}]},
}


@pytest.fixture
def issuer(clock: FakeClock) -> Iterator[OAuthServer]:
    with OAuthServer(clock=lambda: clock.now().timestamp()).serving() as server:
        yield server


@pytest.fixture
def access(issuer: OAuthServer) -> Access:
    def rule(name: str, principals: list[str], effect: str = "Allow", **what: Any) -> Policy:
        return Policy.model_validate(
            {"name": name, "effect": effect, "principals": principals, **what}
        )

    return Access(
        public_url=URL,
        jwt=Jwt(issuer=issuer.issuer, audiences=(URL,)),
        policies=(
            rule("readers", ["jwt:*"], scopes=["crm.read"], tools=["get_*"]),
            rule("writers", ["jwt:*"], scopes=["crm.read", "crm.write"], tools=["set_*"]),
            rule("docs", ["jwt:*"], resources=["docs://*"], prompts=["help"]),
            rule("no-deletes", ["*"], "Deny", tools=["delete_*"]),
        ),
    )


@pytest.fixture
def token(issuer: OAuthServer) -> str:
    return issuer.token(scope="openid crm.read")


@pytest.fixture
def backend() -> FakeBackend:
    async def answer(call: Call) -> bytes:
        return json.dumps({"cacheScope": "public", **LISTS.get(call.method, {})}).encode()

    return FakeBackend(work=answer)


async def ask(
    public: httpx2.AsyncClient, credential: str, method: str, **params: Any
) -> httpx2.Response:
    message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    headers = {**HEADERS, "authorization": f"Bearer {credential}"}
    return await public.post("/mcp", json=message, headers=headers)


USES = [
    ("tools/call", {"name": "delete_a"}, "DENIED_BY_POLICY"),
    ("tools/call", {"name": "other"}, "DENIED_BY_POLICY"),
    ("tools/call", {"name": ["get_a"]}, "DENIED_BY_POLICY"),
    ("tools/call", {}, "DENIED_BY_POLICY"),
    ("tools/call", {"name": "set_a"}, "INSUFFICIENT_SCOPE"),
    ("tools/call", {"name": "get_a"}, None),
    ("prompts/get", {"name": "secret"}, "DENIED_BY_POLICY"),
    ("prompts/get", {"name": "help"}, None),
    ("resources/read", {"uri": "file:///a"}, "DENIED_BY_POLICY"),
    ("resources/subscribe", {"uri": "file:///a"}, "DENIED_BY_POLICY"),
    ("resources/read", {"uri": "docs://a"}, None),
    ("completion/complete", {"ref": {"type": "ref/prompt", "name": "secret"}}, "DENIED_BY_POLICY"),
    ("completion/complete", {"ref": {"type": "ref/prompt", "name": "help"}}, None),
    ("completion/complete", {"ref": {"type": "ref/resource", "uri": "x:"}}, "DENIED_BY_POLICY"),
    (
        "subscriptions/listen",
        {"notifications": {"resourceSubscriptions": ["docs://a", "file:///a"]}},
        "DENIED_BY_POLICY",
    ),
]


@pytest.mark.requirement("G2", "K1", "T23")
@pytest.mark.parametrize(("method", "params", "code"), USES)
async def test_every_use_is_decided_by_the_policies(
    public: httpx2.AsyncClient,
    backend: FakeBackend,
    token: str,
    method: str,
    params: dict[str, Any],
    code: str | None,
) -> None:
    response = await ask(public, token, method, **params)

    if code is None:
        assert response.status_code == 200
        assert len(backend.bodies) == 1
    else:
        assert response.status_code == 403
        assert response.json()["error"]["data"]["code"] == code
        assert response.json()["id"] == 7
        assert backend.bodies == []


@pytest.mark.requirement("K1")
async def test_a_missing_scope_is_challenged_with_all_that_are_needed(
    public: httpx2.AsyncClient, token: str
) -> None:
    response = await ask(public, token, "tools/call", name="set_a")

    assert response.headers["www-authenticate"] == (
        'Bearer error="insufficient_scope", scope="crm.read crm.write", '
        'resource_metadata="https://mcp.example/.well-known/oauth-protected-resource/mcp"'
    )


@pytest.mark.requirement("G2")
async def test_a_denial_names_its_rule_and_challenges_nobody(
    public: httpx2.AsyncClient, process: Process, token: str
) -> None:
    response = await ask(public, token, "tools/call", name="delete_a")

    error = response.json()["error"]
    assert error["message"] == "Policy no-deletes denies tool delete_a to jwt:alice."
    assert error["data"]["rule"] == "no-deletes"
    assert "www-authenticate" not in response.headers
    assert (
        process.metrics.registry.get_sample_value(
            "mcp_security_events_total", {"event": "authorization.denied"}
        )
        == 1
    )


@pytest.mark.requirement("G2")
@pytest.mark.parametrize(
    ("method", "shown"),
    [
        # What another token would open is shown, what nothing opens is not.
        ("tools/list", ["get_a", "set_a"]),
        ("prompts/list", ["help"]),
        ("resources/list", ["docs://a"]),
        ("resources/templates/list", ["docs://{a}"]),
    ],
)
async def test_lists_are_the_callers_own(
    public: httpx2.AsyncClient, token: str, method: str, shown: list[str]
) -> None:
    response = await ask(public, token, method)

    result = response.json()["result"]
    assert result.pop("cacheScope") == "private"
    (items,) = result.values()
    assert [next(iter(item.values())) for item in items] == shown


async def test_of_a_denied_tool_nothing_is_said_but_the_denial(
    public: httpx2.AsyncClient, token: str
) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    codes = []
    for name in ("delete_a", "get_a"):
        message = {
            "jsonrpc": "2.0",
            "id": 7,
            "method": "tools/call",
            "params": {"name": name, "_meta": meta},
        }
        headers = {
            **HEADERS,
            "authorization": f"Bearer {token}",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "tools/call",
            "mcp-name": name,
            "mcp-param-bad": "yes",
        }
        response = await public.post("/mcp", json=message, headers=headers)
        codes.append(response.json()["error"]["data"]["code"])

    assert codes == ["DENIED_BY_POLICY", "HEADER_MISMATCH"]


async def test_a_key_is_shown_nothing_that_only_tokens_may(public: httpx2.AsyncClient) -> None:
    listed = await ask(public, ALICE, "tools/list")
    called = await ask(public, ALICE, "tools/call", name="get_a")

    assert listed.json()["result"]["tools"] == []
    assert called.json()["error"]["data"]["code"] == "DENIED_BY_POLICY"


async def test_each_message_of_a_batch_is_decided_alone(
    public: httpx2.AsyncClient, backend: FakeBackend, token: str
) -> None:
    batch = [
        {"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": {"name": name}}
        for n, name in enumerate(["get_a", "delete_a"])
    ]

    response = await public.post(
        "/mcp", json=batch, headers={**HEADERS, "authorization": f"Bearer {token}"}
    )

    answers = {each["id"]: each for each in response.json()}
    assert "result" in answers[0]
    assert answers[1]["error"]["data"]["rule"] == "no-deletes"
    assert len(backend.bodies) == 1


@pytest.mark.requirement("G2")
async def test_policies_change_without_a_restart(
    public: httpx2.AsyncClient, process: Process, token: str, keys: Path
) -> None:
    before = await ask(public, token, "tools/call", name="other")

    source = process.live._source
    inline = source.inline
    assert inline is not None
    allow = Policy(name="all", effect="Allow", principals=("*",), tools=("*",))
    access = inline.access.model_copy(update={"policies": (allow,)})
    process.live._source = type(source)(
        source.directory, inline.model_copy(update={"access": access})
    )
    process.live.load()
    after = await ask(public, token, "tools/call", name="other")

    assert (before.status_code, after.status_code) == (403, 200)
