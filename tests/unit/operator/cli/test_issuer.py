"""The issuer for development: what it gives, to whom, and what it refuses."""

import base64
import hashlib
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import jwt
import pytest

from breakwater_operator.cli import issuer_server
from breakwater_operator.cli.issuer import KEPT_MAX, GrantError, Issuer

URL = "http://127.0.0.1:9000"
REDIRECT = "http://localhost:3000/callback"
VERIFIER = "a-verifier-that-is-long-enough-for-everybody"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=")

pytestmark = pytest.mark.requirement("K9")


class Clock:
    seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> Issuer:
    return Issuer(URL, "http://127.0.0.1:8080/mcp", clock)


def claims(issuer: Issuer, answer: dict[str, Any]) -> dict[str, Any]:
    key = jwt.PyJWK(issuer.jwks()["keys"][0])
    found: dict[str, Any] = jwt.decode(
        answer["access_token"],
        key,
        algorithms=["ES256"],
        options={"verify_aud": False, "verify_exp": False, "verify_iat": False},
    )
    return found


def asked(issuer: Issuer, **more: str) -> tuple[str, dict[str, str]]:
    """Register and ask for a code; return it and what redeems it."""
    client = issuer.register({"redirect_uris": [REDIRECT]})["client_id"]
    query = {
        "client_id": client,
        "redirect_uri": REDIRECT,
        "code_challenge": CHALLENGE.decode(),
        "code_challenge_method": "S256",
        "state": "s",
    }
    sent = parse_qs(urlsplit(issuer.authorize(query | more)).query)
    assert (sent["state"], sent["iss"]) == (["s"], [URL])
    form = {
        "grant_type": "authorization_code",
        "code": sent["code"][0],
        "client_id": client,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
    }
    return sent["code"][0], form


def test_scripts_get_a_token_by_saying_who_they_are(issuer: Issuer) -> None:
    answer = issuer.token({"client_id": "alice", "scope": "crm.read"})

    found = claims(issuer, answer)
    assert (found["iss"], found["sub"], found["scope"]) == (URL, "alice", "crm.read")
    assert found["aud"] == "http://127.0.0.1:8080/mcp"
    assert found["exp"] - found["iat"] == answer["expires_in"]


def test_clients_get_one_for_a_code_and_the_verifier(issuer: Issuer) -> None:
    _, form = asked(issuer, login_hint="alice", resource="http://127.0.0.1:9999/mcp")

    found = claims(issuer, issuer.token(form))

    assert (found["sub"], found["aud"]) == ("alice", "http://127.0.0.1:9999/mcp")


@pytest.mark.parametrize(
    "change",
    [
        {"code": "guess"},
        {"code_verifier": "another"},
        {"client_id": "another"},
        {"redirect_uri": "http://localhost:3001/callback"},
    ],
)
def test_a_code_is_good_for_its_own_client_only(issuer: Issuer, change: dict[str, str]) -> None:
    _, form = asked(issuer)

    with pytest.raises(GrantError, match="the code is not good"):
        issuer.token(form | change)


def test_a_code_is_good_once_and_for_a_minute(issuer: Issuer, clock: Clock) -> None:
    _, first = asked(issuer)
    _, second = asked(issuer)

    issuer.token(first)
    clock.seconds += 61

    for form in (first, second):
        with pytest.raises(GrantError, match="the code is not good"):
            issuer.token(form)


@pytest.mark.parametrize(
    "redirects",
    [
        ["https://evil.example/"],
        [REDIRECT, "http://localhost.evil.example/"],
        ["javascript:alert(1)"],
        ["http://[::1"],
        "x",
        None,
    ],
)
def test_codes_go_to_this_machine_only(issuer: Issuer, redirects: Any) -> None:
    with pytest.raises(GrantError, match="loopback"):
        issuer.register({"redirect_uris": redirects})


def test_a_redirect_that_was_not_registered_is_not_followed(issuer: Issuer) -> None:
    with pytest.raises(GrantError, match="no such client"):
        issuer.authorize({"client_id": "x", "redirect_uri": "https://evil.example/"})


def test_what_is_remembered_is_bounded(issuer: Issuer) -> None:
    _, form = asked(issuer)
    for _ in range(KEPT_MAX + 1):
        asked(issuer)

    with pytest.raises(GrantError, match="the code is not good"):
        issuer.token(form)


@pytest.fixture
def served() -> Iterator[str]:
    with issuer_server.listen(0, "a", Clock()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("GET", "/.well-known/openid-configuration", {}, 200),
        ("GET", "/jwks", {}, 200),
        ("GET", "/nothing", {}, 404),
        ("GET", "/jwks", {"headers": {"host": "evil.example"}}, 421),
        ("GET", "/jwks", {"headers": {"origin": "http://evil.example"}}, 421),
        ("GET", "/authorize", {}, 400),
        ("POST", "/token", {"data": {"client_id": "alice"}}, 200),
        ("POST", "/token", {"data": {"grant_type": "password"}}, 400),
        ("POST", "/register", {"content": b"{"}, 400),
        ("POST", "/register", {"json": {"redirect_uris": [REDIRECT]}}, 201),
        ("POST", "/token", {"content": b"x" * 70_000}, 413),
        ("POST", "/token", {"headers": {"origin": "http://evil.example"}}, 421),
    ],
)
def test_its_http_answers_this_machine_and_no_page(
    served: str, method: str, path: str, sent: dict[str, Any], status: int
) -> None:
    response = httpx2.request(method, f"{served}{path}", **sent)

    assert response.status_code == status
