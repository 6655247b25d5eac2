"""An OAuth issuer for development: gives a token to whoever asks, on loopback only.

It knows what MCP clients go through (OAuth 2.1: dynamic registration, authorization code with
PKCE, resource indicators) and the short way for scripts (client credentials). There is no login:
who asks says who they are. So it must never be reachable from elsewhere, nor trusted by anything
that matters.
"""

import base64
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from breakwater_operator.api.errors import BreakwaterError

LIFETIME_SECONDS = 3600
CODE_SECONDS = 60
KEPT_MAX = 1000
"""Clients and codes that are remembered; the oldest go first."""

ALGORITHM = "ES256"
KEY_ID = "development"
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

PRINCIPAL = "developer"
"""Who a token is for where nobody says it."""


class GrantError(BreakwaterError):
    """What was asked for cannot be given, in the words of RFC 6749."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True)
class Code:
    """What an authorization code stands for."""

    client: str
    redirect: str
    challenge: str
    claims: Mapping[str, str]
    ends: float


@dataclass
class Issuer:
    """The issuer, without its HTTP."""

    url: str
    """Who it is: what `iss` says, and where its endpoints begin."""
    audience: str
    """Whom tokens are for where nobody says it."""
    now: Callable[[], float]
    """The wall clock, in seconds."""
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    _clients: "OrderedDict[str, frozenset[str]]" = field(default_factory=OrderedDict)
    _codes: "OrderedDict[str, Code]" = field(default_factory=OrderedDict)

    def metadata(self) -> dict[str, Any]:
        """Say where everything is (RFC 8414, OpenID Connect Discovery)."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "registration_endpoint": f"{self.url}/register",
            "jwks_uri": f"{self.url}/jwks",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "client_credentials"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "token_endpoint_auth_methods_supported": ["none", "client_secret_post"],
        }

    def jwks(self) -> dict[str, Any]:
        """Publish the public key."""
        public = ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": KEY_ID, "use": "sig", "alg": ALGORITHM}]}

    def register(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Take a client on (RFC 7591); its answers may go to this machine only.

        Raises:
            GrantError: Its answers would go elsewhere.
        """
        redirects = wanted.get("redirect_uris")
        if not isinstance(redirects, list) or not all(map(_is_loopback, redirects)):
            raise GrantError(
                "invalid_redirect_uri", "every redirect URI must be of this machine (loopback)"
            )
        client = secrets.token_urlsafe(12)
        _remember(self._clients, client, frozenset(redirects))
        return {**wanted, "client_id": client, "token_endpoint_auth_method": "none"}

    def authorize(self, query: Mapping[str, str]) -> str:
        """Let whoever asks have a code; return where to send the browser with it.

        `login_hint` says who they are.

        Raises:
            GrantError: The client or its redirect is not known, or PKCE is missing.
        """
        client, redirect = query.get("client_id", ""), query.get("redirect_uri", "")
        if redirect not in self._clients.get(client, ()):
            raise GrantError("invalid_request", "no such client with such a redirect URI")
        if query.get("code_challenge_method") != "S256" or not query.get("code_challenge"):
            raise GrantError("invalid_request", "PKCE is needed: code_challenge_method=S256")
        code = secrets.token_urlsafe(24)
        claims = {
            "sub": query.get("login_hint") or PRINCIPAL,
            "aud": query.get("resource") or self.audience,
            "scope": query.get("scope", ""),
        }
        ends = self.now() + CODE_SECONDS
        _remember(self._codes, code, Code(client, redirect, query["code_challenge"], claims, ends))
        state = {"state": query["state"]} if "state" in query else {}
        separator = "&" if urlsplit(redirect).query else "?"
        return f"{redirect}{separator}{urlencode({'code': code, 'iss': self.url, **state})}"

    def token(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Give a token.

        Raises:
            GrantError: The grant is of another kind, or the code is not good.
        """
        match form.get("grant_type", "client_credentials"):
            case "client_credentials":
                claims: Mapping[str, str] = {
                    "sub": form.get("client_id") or PRINCIPAL,
                    "aud": form.get("resource") or form.get("audience") or self.audience,
                    "scope": form.get("scope", ""),
                }
            case "authorization_code":
                claims = self._redeemed(form)
            case _:
                raise GrantError(
                    "unsupported_grant_type", "accepted: authorization_code, client_credentials"
                )
        return {
            "access_token": self._signed(claims),
            "token_type": "Bearer",
            "expires_in": LIFETIME_SECONDS,
            "scope": claims["scope"],
        }

    def _redeemed(self, form: Mapping[str, str]) -> Mapping[str, str]:
        code = self._codes.pop(form.get("code", ""), None)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if (
            code is None
            or code.ends <= self.now()
            or (code.client, code.redirect) != (form.get("client_id"), form.get("redirect_uri"))
            or not hmac.compare_digest(code.challenge, challenge)
        ):
            raise GrantError("invalid_grant", "the code is not good, or not for this client")
        return code.claims

    def _signed(self, claims: Mapping[str, str]) -> str:
        now = int(self.now())
        payload = {
            **{name: value for name, value in claims.items() if value},
            "iss": self.url,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
            "jti": secrets.token_urlsafe(12),
        }
        headers = {"kid": KEY_ID, "typ": "at+jwt"}
        return jwt.encode(payload, self.key, ALGORITHM, headers=headers)


def _is_loopback(redirect: object) -> bool:
    if not isinstance(redirect, str):
        return False
    try:
        parts = urlsplit(redirect)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.hostname in LOOPBACK_HOSTS


def _remember(kept: "OrderedDict[str, Any]", name: str, value: object) -> None:
    kept[name] = value
    if len(kept) > KEPT_MAX:
        kept.popitem(last=False)
