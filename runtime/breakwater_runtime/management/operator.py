"""The operator's token: who it is when it speaks to this process."""

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from breakwater_contract.names import (
    OPERATOR_ISSUER,
    OPERATOR_PRINCIPAL,
    OPERATOR_SCOPES,
    OPERATOR_SIGNATURE,
    OPERATOR_TOKEN_SECONDS,
)
from breakwater_contract.settings import OperatorKey
from breakwater_runtime.calls import Principal, Problem, Refused, Request

logger = logging.getLogger(__name__)

LEEWAY = timedelta(seconds=15)
"""How far the clocks of two nodes may be apart."""

OperatorKeys = Mapping[str, Ed25519PublicKey]


def parse(keys: Iterable[OperatorKey]) -> tuple[OperatorKeys, list[str]]:
    """Read the operator's public keys; return them by id, and every fault."""
    parsed: dict[str, Ed25519PublicKey] = {}
    faults: list[str] = []
    for number, key in enumerate(keys):
        where = f"operatorKeys[{number}].publicKey"
        try:
            public_key = load_pem_public_key(key.public_key.encode())
        except (ValueError, UnsupportedAlgorithm):
            faults.append(f"{where}: not a public key; accepted: Ed25519 as PEM")
            continue
        if not isinstance(public_key, Ed25519PublicKey):
            found = type(public_key).__name__
            faults.append(f"{where}: found a {found}; accepted: Ed25519 as PEM")
            continue
        parsed[key.kid] = public_key
    return parsed, faults


class OperatorTokens:
    """Verifies the tokens that the operator signs for this one server."""

    def __init__(self, *, audience: str, keys: Callable[[], OperatorKeys]) -> None:
        """Accept tokens for `audience`, the server's uid, signed with a key of the moment."""
        self._audience = audience
        self._keys = keys

    def principal(self, scope: Scope) -> Principal | None:
        """Get who presents a good token; None where there is none."""
        scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self._audience:
            return None
        try:
            claims = self._verify(token.strip())
        except (jwt.InvalidTokenError, LookupError) as error:
            # The type alone: a library's message could repeat parts of the token.
            logger.info("operator token refused", extra={"reason": type(error).__name__})
            return None
        granted = set(str(claims["scope"]).split()) & set(OPERATOR_SCOPES)
        methods = frozenset(scope.replace(".", "/") for scope in granted)
        return Principal(OPERATOR_PRINCIPAL, methods=methods)

    def _verify(self, token: str) -> Mapping[str, object]:
        kid = jwt.get_unverified_header(token)["kid"]
        claims = jwt.decode(
            token,
            self._keys()[kid],
            algorithms=[OPERATOR_SIGNATURE],
            audience=self._audience,
            issuer=OPERATOR_ISSUER,
            subject=OPERATOR_PRINCIPAL,
            leeway=LEEWAY,
            options={"require": ["aud", "exp", "iat", "iss", "scope", "sub"], "strict_aud": True},
        )
        # A token that lives longer than the operator's do was not made by the operator's code.
        if claims["exp"] - claims["iat"] > OPERATOR_TOKEN_SECONDS:
            raise jwt.InvalidTokenError
        return claims


class OperatorOnly:
    """Lets the operator pass and nobody else."""

    def __init__(self, app: ASGIApp, *, tokens: OperatorTokens) -> None:
        """Stand in front of `app`."""
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the principal for the steps behind, or refuse."""
        principal = self._tokens.principal(scope)
        if principal is None:
            raise Refused(
                Problem.UNAUTHENTICATED,
                "The operator's token is required.",
                headers={"www-authenticate": "Bearer"},
            )
        Request.of(scope).principal = principal
        await self._app(scope, receive, send)
