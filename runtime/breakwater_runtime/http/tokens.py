"""Bearer tokens: who vouches for them, whom they name, and until when."""

import math
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt

from breakwater_contract.access import Access, Jwt, ServiceAccounts
from breakwater_contract.names import JWT_PRINCIPAL_PREFIX
from breakwater_runtime.calls import Principal
from breakwater_runtime.http.issuer_keys import IssuerKeys
from breakwater_runtime.http.jwks import KeySet

TOKEN_BYTES_MAX = 16 * 1024
CACHE_ENTRIES_MAX = 10_000
SCOPES_MAX = 256

KINDS = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""What a token may say that it is; one that says nothing is taken for an access token too."""

SERVICE_ACCOUNT_ALGORITHMS = ("RS256", "ES256")
SERVICE_ACCOUNT_LEEWAY_SECONDS = 30.0
_SERVICE_ACCOUNT = re.compile(r"system:serviceaccount:[a-z0-9-]{1,63}:[a-z0-9.-]{1,253}")
_NAME = re.compile(r"[^\s\x00-\x1f\x7f]{1,256}")


class TokenError(Exception):
    """A token that lets nobody in."""

    def __init__(self, outcome: str) -> None:
        """Say why, in a word of the metric of authentications."""
        self.outcome = outcome
        super().__init__(outcome)


class UnknownKeyError(TokenError):
    """The token names a key that we do not have; its issuer may have a new one."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """One who makes tokens, and what they must be like."""

    issuer: str
    audiences: tuple[str, ...]
    algorithms: tuple[str, ...]
    leeway_seconds: float
    keys: Callable[[], KeySet | None]
    has_newer_keys: bool
    """Whether it is worth asking for newer keys when a token names one that we do not have."""
    principal: Callable[[Mapping[str, Any]], Principal]


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that was found good."""

    principal: Principal
    until: float
    keys: KeySet
    """Those it was verified with; once there are others, it is verified again."""
    issuer: Issuer


class Tokens:
    """Verifies tokens against the settings and keys of the moment."""

    def __init__(
        self,
        settings: Callable[[], Access],
        *,
        issuer_keys: IssuerKeys,
        service_account_keys: Callable[[], KeySet | None],
        now: Callable[[], datetime],
    ) -> None:
        """Know no token yet."""
        self._settings = settings
        self._issuer_keys = issuer_keys
        self._service_account_keys = service_account_keys
        self._now = now
        self._of: Access | None = None
        self._issuers: dict[str, Issuer] = {}
        self._verified: OrderedDict[bytes, Verified] = OrderedDict()

    async def verify(self, token: bytes, digest: bytes) -> Principal:
        """Say whom a token names; `digest` is its SHA-256.

        Raises:
            TokenError: It is none of ours, or good no more.
        """
        self._take_over()
        verified = self._known(digest)
        if verified is None:
            verified = await self._verify(token)
            self._verified[digest] = verified
            if len(self._verified) > CACHE_ENTRIES_MAX:
                self._verified.popitem(last=False)
        return verified.principal

    def _take_over(self) -> None:
        """Begin anew when the settings have changed."""
        access = self._settings()
        if access is self._of:
            return
        self._of = access
        self._verified.clear()
        made = []
        if access.jwt:
            made.append(_oauth(access.jwt, lambda: self._issuer_keys.keys))
        if access.service_accounts:
            made.append(_cluster(access.service_accounts, self._service_account_keys))
        self._issuers = {issuer.issuer: issuer for issuer in made}

    def _known(self, digest: bytes) -> Verified | None:
        verified = self._verified.get(digest)
        if verified is None:
            return None
        if verified.keys is not verified.issuer.keys():
            del self._verified[digest]
            return None
        if self._now().timestamp() >= verified.until:
            del self._verified[digest]
            raise TokenError("expired")
        self._verified.move_to_end(digest)
        return verified

    async def _verify(self, token: bytes) -> Verified:
        try:
            return self._verify_now(token)
        except UnknownKeyError:
            await self._issuer_keys.refresh()
            return self._verify_now(token)

    def _verify_now(self, token: bytes) -> Verified:
        if len(token) > TOKEN_BYTES_MAX or not self._issuers:
            raise TokenError("unknown")
        try:
            header, issuer = self._read(token)
            keys, key = _key(header, issuer)
            claims = _decode(token, issuer, key)
            until = self._until(claims, issuer.leeway_seconds)
            return Verified(issuer.principal(claims), until, keys, issuer)
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError) as error:
            raise TokenError("foreign") from error
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise TokenError("unknown") from error

    def _read(self, token: bytes) -> tuple[dict[str, Any], Issuer]:
        """Read what a token says of itself, to know whose key to ask for."""
        said = jwt.decode_complete(token, options={"verify_signature": False})
        header, named = said["header"], said["payload"].get("iss")
        issuer = self._issuers.get(named) if isinstance(named, str) else None
        if issuer is None:
            raise TokenError("foreign")
        kind = header.get("typ", "JWT")
        if not isinstance(kind, str) or kind.lower() not in KINDS or "crit" in header:
            raise TokenError("unknown")
        if header.get("alg") not in issuer.algorithms:
            raise TokenError("unknown")
        return header, issuer

    def _until(self, claims: Mapping[str, Any], leeway: float) -> float:
        """Say until when a token is good, our clock.

        Raises:
            TokenError: It is not good now.
        """
        now = self._now().timestamp()
        until = _time(claims["exp"]) + leeway
        if now >= until or now < _time(claims.get("nbf", 0)) - leeway:
            raise TokenError("expired")
        return until


def _key(header: Mapping[str, Any], issuer: Issuer) -> tuple[KeySet, jwt.PyJWK]:
    """Find the key that a token's header names.

    Raises:
        TokenError: There is none.
    """
    error = UnknownKeyError if issuer.has_newer_keys else TokenError
    keys = issuer.keys()
    if keys is None:
        raise error("unavailable")
    key = keys.find(header.get("kid"), header["alg"])
    if key is None:
        raise error("unknown")
    return keys, key


def _decode(token: bytes, issuer: Issuer, key: jwt.PyJWK) -> Mapping[str, Any]:
    return jwt.decode(
        token,
        key,
        algorithms=issuer.algorithms,
        audience=issuer.audiences,
        issuer=issuer.issuer,
        # The times are compared by the clock that we are given.
        options={
            "require": ["aud", "exp", "iss"],
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
        },
    )


def _time(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TokenError("unknown")
    return float(value)


def _oauth(settings: Jwt, keys: Callable[[], KeySet | None]) -> Issuer:
    def principal(claims: Mapping[str, Any]) -> Principal:
        name = claims.get(settings.principal_claim)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise TokenError("unknown")
        return Principal(JWT_PRINCIPAL_PREFIX + name, _scopes(claims))

    return Issuer(
        settings.issuer,
        settings.audiences,
        settings.algorithms,
        settings.leeway.seconds,
        keys,
        True,
        principal,
    )


def _cluster(settings: ServiceAccounts, keys: Callable[[], KeySet | None]) -> Issuer:
    def principal(claims: Mapping[str, Any]) -> Principal:
        name = claims.get("sub")
        if not isinstance(name, str) or not _SERVICE_ACCOUNT.fullmatch(name):
            raise TokenError("unknown")
        return Principal(name)

    return Issuer(
        settings.issuer,
        (settings.audience,),
        SERVICE_ACCOUNT_ALGORITHMS,
        SERVICE_ACCOUNT_LEEWAY_SECONDS,
        keys,
        False,
        principal,
    )


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """Get what a token was granted: `scope` (RFC 9068) or `scp`, as text or as a list."""
    granted: list[str] = []
    for claim in ("scope", "scp"):
        value = claims.get(claim, "")
        listed = value.split() if isinstance(value, str) else value
        if isinstance(listed, list):
            granted += [scope for scope in listed if isinstance(scope, str)]
    return frozenset(granted[:SCOPES_MAX])
