"""OAuth: whose tokens let a request in, and what a client without a good one is told."""

import base64
import hmac
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from breakwater_contract.access import Access, Jwt
from breakwater_runtime.app import Process
from breakwater_runtime.http import jwks
from breakwater_runtime.http.issuer_keys import FLOOR_SECONDS, REFRESH_SECONDS
from tests.support.oauth import OAuthServer, rsa_key
from tests.unit.runtime.fakes import ALICE, EXPIRED, FakeBackend, FakeClock

MESSAGE = {"jsonrpc": "2.0", "id": 7, "method": "tools/list"}
MCP = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
PUBLIC_URL = "https://mcp.example/mcp"
METADATA = "/.well-known/oauth-protected-resource"


@pytest.fixture
def issuer(clock: FakeClock) -> Iterator[OAuthServer]:
    with OAuthServer(clock=lambda: clock.now().timestamp()).serving() as server:
        yield server


@pytest.fixture
def access(issuer: OAuthServer) -> Access:
    return Access(public_url=PUBLIC_URL, jwt=Jwt(issuer=issuer.issuer, audiences=(PUBLIC_URL,)))


async def ask(public: httpx2.AsyncClient, token: str) -> httpx2.Response:
    return await public.post(
        "/mcp", json=MESSAGE, headers={**MCP, "authorization": f"Bearer {token}"}
    )


@pytest.mark.requirement("K1", "K9", "T4")
@pytest.mark.parametrize("kid", ["rsa", "ec", "ed"])
async def test_a_token_of_the_issuer_lets_in(
    public: httpx2.AsyncClient, process: Process, issuer: OAuthServer, kid: str
) -> None:
    token = issuer.token(kid)

    first = await ask(public, token)
    second = await ask(public, token)

    assert (first.status_code, second.status_code) == (200, 200)
    assert issuer.requests == ["/.well-known/openid-configuration", "/jwks"]
    assert _outcomes(process) == {"accepted": 2}


def _none(issuer: OAuthServer) -> str:
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    return jwt.encode(claims, "", "none", headers={"kid": "rsa"})


def _shared(issuer: OAuthServer) -> str:
    """Sign with the public key as a shared secret, as who confuses algorithms would."""
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    key = issuer.keys["rsa"][1].public_key()
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signed = jwt.encode(claims, "x" * 32, "HS256", headers={"kid": "rsa"}).rpartition(".")[0]
    signature = hmac.digest(der, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def _stranger(issuer: OAuthServer) -> str:
    keys = {"rsa": ("RS256", rsa_key("stranger"))}
    return OAuthServer(issuer.issuer, clock=issuer.clock, keys=dict(keys)).token()


BAD_TOKENS = [
    pytest.param(lambda it: it.token(aud="https://another.example"), "foreign", id="audience"),
    pytest.param(lambda it: it.token(aud=None), "unknown", id="no-audience"),
    pytest.param(lambda it: it.token(aud=[]), "unknown", id="empty-audience"),
    pytest.param(lambda it: it.token(iss="https://another.example"), "foreign", id="issuer"),
    pytest.param(lambda it: it.token(iss=None), "foreign", id="no-issuer"),
    pytest.param(lambda it: it.token(exp=1), "expired", id="expired"),
    pytest.param(lambda it: it.token(exp=None), "unknown", id="no-end"),
    pytest.param(lambda it: it.token(exp=True), "unknown", id="end-is-true"),
    pytest.param(lambda it: it.token(nbf=4102444800), "expired", id="not-yet"),
    pytest.param(lambda it: it.token(sub=None), "unknown", id="nobody"),
    pytest.param(lambda it: it.token(sub=""), "unknown", id="empty-name"),
    pytest.param(lambda it: it.token(sub="a b"), "unknown", id="space-in-name"),
    pytest.param(lambda it: it.token(sub="x" * 257), "unknown", id="long-name"),
    pytest.param(lambda it: it.token(sub=7), "unknown", id="number-for-name"),
    pytest.param(lambda it: it.token(header={"kid": "other"}), "unknown", id="unknown-kid"),
    pytest.param(lambda it: it.token(header={"kid": "ec"}), "unknown", id="kid-of-another"),
    pytest.param(lambda it: it.token(header={"alg": "RS512"}), "unknown", id="not-allowed"),
    pytest.param(lambda it: it.token(header={"typ": "logout+jwt"}), "unknown", id="type"),
    pytest.param(lambda it: it.token(header={"crit": ["x"], "x": 1}), "unknown", id="critical"),
    pytest.param(lambda it: it.token()[:-4], "unknown", id="cut"),
    pytest.param(lambda _: "a.b.c", "unknown", id="garbage"),
    pytest.param(lambda _: "..", "unknown", id="dots"),
    pytest.param(lambda it: it.token(pad="x" * 20_000), "unknown", id="huge"),
    pytest.param(_none, "unknown", id="unsigned"),
    pytest.param(_shared, "unknown", id="shared-secret"),
    pytest.param(_stranger, "unknown", id="a-stranger's-key"),
]


@pytest.mark.requirement("K9", "T23")
@pytest.mark.parametrize(("token", "outcome"), BAD_TOKENS)
async def test_any_other_token_does_not(
    public: httpx2.AsyncClient,
    process: Process,
    backend: FakeBackend,
    issuer: OAuthServer,
    token: Callable[[OAuthServer], str],
    outcome: str,
) -> None:
    response = await ask(public, token(issuer))

    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["www-authenticate"]
    assert backend.bodies == []
    assert _outcomes(process) == {outcome: 1}
    assert _events(process) == {"authentication.failed": 1}


async def test_a_token_is_no_key(public: httpx2.AsyncClient, issuer: OAuthServer) -> None:
    response = await public.post("/mcp", headers={"x-api-key": issuer.token()})

    assert response.status_code == 401


async def test_a_key_stays_good_beside_tokens(public: httpx2.AsyncClient) -> None:
    response = await ask(public, ALICE)

    assert response.status_code == 200


async def test_a_token_that_was_good_ends_at_its_time(
    public: httpx2.AsyncClient, issuer: OAuthServer, clock: FakeClock
) -> None:
    token = issuer.token()

    before = await ask(public, token)
    clock.advance(seconds=329)
    in_leeway = await ask(public, token)
    clock.advance(seconds=1)
    after = await ask(public, token)

    assert [each.status_code for each in (before, in_leeway, after)] == [200, 200, 401]
    assert "expired" in after.headers["www-authenticate"]


async def test_a_new_key_of_the_issuer_is_fetched_once_per_floor(
    public: httpx2.AsyncClient, issuer: OAuthServer, clock: FakeClock
) -> None:
    await ask(public, issuer.token())
    issuer.keys["new"] = issuer.keys.pop("rsa")
    issuer.keys["rsa"] = issuer.keys["new"]
    token = issuer.token("new")

    too_early = await ask(public, token)
    clock.advance(seconds=FLOOR_SECONDS)
    fetched = await ask(public, token)
    unknown = [await ask(public, issuer.token(header={"kid": f"x{n}"})) for n in range(20)]

    assert (too_early.status_code, fetched.status_code) == (401, 200)
    assert {each.status_code for each in unknown} == {401}
    assert issuer.requests.count("/jwks") == 2


async def test_a_key_that_is_withdrawn_ends_the_tokens_it_signed(
    public: httpx2.AsyncClient, process: Process, issuer: OAuthServer, clock: FakeClock
) -> None:
    token = issuer.token("ec", exp=4102444800)
    before = await ask(public, token)

    del issuer.keys["ec"]
    clock.advance(seconds=REFRESH_SECONDS)
    await process.issuer_keys.refresh()
    after = await ask(public, token)

    assert (before.status_code, after.status_code) == (200, 401)


async def test_while_the_issuer_is_away_the_last_good_keys_stay(
    public: httpx2.AsyncClient, process: Process, issuer: OAuthServer, clock: FakeClock
) -> None:
    await ask(public, issuer.token())
    issuer.down = True

    clock.advance(seconds=REFRESH_SECONDS)
    await process.issuer_keys.refresh()
    response = await ask(public, issuer.token())

    assert response.status_code == 200
    assert process.issuer_keys.fault is not None
    assert "answered 503" in process.issuer_keys.fault
    assert _sample(process, "mcp_issuer_fetches_total", outcome="failed") == 1


async def test_before_the_first_keys_a_token_is_told_to_wait_and_a_key_works(
    public: httpx2.AsyncClient, issuer: OAuthServer, clock: FakeClock
) -> None:
    issuer.down = True

    away = await ask(public, issuer.token())
    key = await ask(public, ALICE)
    issuer.down = False
    clock.advance(seconds=1)
    back = await ask(public, issuer.token())

    assert (away.status_code, away.headers["retry-after"]) == (503, "5")
    assert away.json()["error"]["data"]["retryAfter"] == 5
    assert (key.status_code, back.status_code) == (200, 200)


async def test_keys_elsewhere_need_to_be_configured(
    public: httpx2.AsyncClient, process: Process, issuer: OAuthServer
) -> None:
    issuer.jwks_uri = "http://127.0.0.2:1/jwks"

    response = await ask(public, issuer.token())

    assert response.status_code == 503
    assert "write access.jwt.jwksUrl" in str(process.issuer_keys.fault)


@pytest.mark.requirement("K1")
@pytest.mark.parametrize("path", [METADATA, f"{METADATA}/mcp", f"{METADATA}/"])
async def test_clients_learn_whom_to_ask_for_a_token(
    public: httpx2.AsyncClient, issuer: OAuthServer, path: str
) -> None:
    response = await public.get(path)

    assert response.json() == {
        "resource": PUBLIC_URL,
        "authorization_servers": [issuer.issuer],
        "bearer_methods_supported": ["header"],
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{METADATA}/other", 404),
        ("GET", f"{METADATA}x", 404),
        ("GET", f"{METADATA}/mcp/../../mcp", 404),
        ("POST", METADATA, 405),
        ("POST", f"{METADATA}%2f..%2fmcp", 404),
    ],
)
async def test_the_metadata_is_no_way_to_anything_else(
    public: httpx2.AsyncClient, backend: FakeBackend, method: str, path: str, status: int
) -> None:
    response = await public.request(method, path)

    assert response.status_code in {status, 401}
    assert backend.bodies == []


@pytest.mark.requirement("K1")
@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        pytest.param({}, "Bearer {metadata}", id="none"),
        pytest.param(
            {"authorization": "Bearer x"},
            'Bearer error="invalid_token", error_description="It is not known here.", {metadata}',
            id="wrong",
        ),
        pytest.param(
            {"x-api-key": EXPIRED},
            'Bearer error="invalid_token", '
            'error_description="The token has expired, or is not valid yet.", {metadata}',
            id="expired",
        ),
    ],
)
async def test_the_challenge_says_where_the_metadata_is(
    public: httpx2.AsyncClient, headers: dict[str, str], challenge: str
) -> None:
    response = await public.post("/mcp", headers=headers)

    metadata = 'resource_metadata="https://mcp.example/.well-known/oauth-protected-resource/mcp"'
    assert response.headers["www-authenticate"] == challenge.format(metadata=metadata)


class TestScopes:
    @pytest.fixture
    def access(self, issuer: OAuthServer) -> Access:
        return Access(
            public_url=PUBLIC_URL,
            jwt=Jwt(issuer=issuer.issuer, audiences=(PUBLIC_URL,), scopes=("crm", "mcp")),
        )

    @pytest.mark.requirement("K1")
    @pytest.mark.parametrize(
        "claims",
        [{"scope": "mcp x crm"}, {"scp": ["mcp", "crm"]}, {"scp": "crm mcp"}],
    )
    async def test_a_token_with_every_scope_lets_in(
        self, public: httpx2.AsyncClient, issuer: OAuthServer, claims: dict[str, Any]
    ) -> None:
        response = await ask(public, issuer.token(**claims))

        assert response.status_code == 200

    @pytest.mark.requirement("K1")
    @pytest.mark.parametrize("claims", [{}, {"scope": "mcp"}, {"scope": 7}, {"scp": [["crm"]]}])
    async def test_a_token_without_one_is_told_all_of_them(
        self,
        public: httpx2.AsyncClient,
        process: Process,
        issuer: OAuthServer,
        claims: dict[str, Any],
    ) -> None:
        response = await ask(public, issuer.token(**claims))

        assert response.status_code == 403
        event = {"event": "authorization.scope_missing"}
        assert process.metrics.registry.get_sample_value("mcp_security_events_total", event) == 1
        challenge = response.headers["www-authenticate"]
        assert challenge.startswith('Bearer error="insufficient_scope", scope="crm mcp", resource_')
        assert response.json()["error"]["data"]["scopes"] == ["crm", "mcp"]

    async def test_a_challenge_names_them_from_the_start(self, public: httpx2.AsyncClient) -> None:
        response = await public.post("/mcp")

        assert response.headers["www-authenticate"].startswith('Bearer scope="crm mcp", ')

    async def test_a_key_needs_none(self, public: httpx2.AsyncClient) -> None:
        assert (await ask(public, ALICE)).status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"7",
        b'{"keys": {}}',
        b'{"keys": [7, [], null, {}]}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}',
        b'{"keys": [{"kty": "RSA", "n": 7, "e": []}]}',
        b'{"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}',
    ],
)
def test_what_holds_no_usable_key_is_no_key_set(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"accepted|verifies"):
        jwks.parse(content)


def test_a_short_key_verifies_nothing() -> None:
    short = rsa.generate_private_key(65537, 1024)
    written = json.dumps(OAuthServer(keys={"rsa": ("RS256", short)}).jwks())

    with pytest.raises(ValueError, match="verifies"):
        jwks.parse(written.encode())


@pytest.mark.parametrize(
    "settings",
    [
        {"issuer": "http://id.example", "audiences": ["x"]},
        {"issuer": "https://user@id.example", "audiences": ["x"]},
        {"issuer": "https://id.example", "audiences": []},
        {"issuer": "https://id.example", "audiences": ["x"], "algorithms": ["HS256"]},
        {"issuer": "https://id.example", "audiences": ["x"], "algorithms": ["none"]},
        {"issuer": "https://id.example", "audiences": ["x"], "jwksUrl": "file:///etc/passwd"},
        {"issuer": "https://id.example", "audiences": ["x"], "scopes": ['a"b']},
    ],
)
@pytest.mark.requirement("W5")
def test_settings_that_would_not_protect_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Jwt.model_validate(settings)


def _sample(process: Process, name: str, **labels: str) -> float | None:
    return process.metrics.registry.get_sample_value(name, labels)


def _outcomes(process: Process) -> dict[str, float]:
    return _nonzero(process, "mcp_authentication_total", "outcome")


def _events(process: Process) -> dict[str, float]:
    return _nonzero(process, "mcp_security_events_total", "event")


def _nonzero(process: Process, name: str, label: str) -> dict[str, float]:
    return {
        sample.labels[label]: sample.value
        for family in process.metrics.registry.collect()
        for sample in family.samples
        if sample.name == name and sample.value
    }
