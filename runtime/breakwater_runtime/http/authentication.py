"""Credentials: who asks is known before anything else is looked at."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from starlette.types import Scope

from breakwater_contract.access import Access
from breakwater_contract.names import JWT_PRINCIPAL_PREFIX, UNAUTHENTICATED_PRINCIPAL
from breakwater_runtime.calls import Principal, Problem, Refused, Request
from breakwater_runtime.http.challenges import Challenges
from breakwater_runtime.http.failures import Failures
from breakwater_runtime.http.keys import Keyring
from breakwater_runtime.http.rate import Verdict
from breakwater_runtime.http.tokens import TokenError, Tokens
from breakwater_runtime.observability.audit import Audit, Event

BEARER = b"bearer "
ACCEPTED = ("accepted",)

NO_KEY = b""
"""Stands for a credential that is none of ours; no key is empty."""

UNAVAILABLE_RETRY_SECONDS = 5
USER_AGENT_CHARACTERS_MAX = 128

UNAUTHENTICATED = Principal(UNAUTHENTICATED_PRINCIPAL)

SAID = {
    "expired": "The token has expired, or is not valid yet.",
    "foreign": "The token is not for this server.",
    "conflicting": "Two credentials were sent.",
}
"""What clients are told of a token beyond that it is not good."""


class Authentication:
    """Lets a request pass that brings one good credential, whatever it asks for."""

    def __init__(
        self,
        *,
        settings: Callable[[], Access],
        keyring: Callable[[], Keyring],
        tokens: Tokens,
        challenges: Challenges,
        failures: Failures,
        outcomes: dict[tuple[str, ...], float],
        audit: Audit,
        now: Callable[[], datetime],
    ) -> None:
        """Check against the settings and keys of the moment; count the results in `outcomes`."""
        self._settings = settings
        self._keyring = keyring
        self._tokens = tokens
        self._challenges = challenges
        self._failures = failures
        self._outcomes = outcomes
        self._audit = audit
        self._now = now

    def __call__(self, scope: Scope, request: Request) -> Awaitable[None] | None:
        """Name the request's principal, or refuse."""
        presented = credentials(request, scope["headers"])
        if not presented:
            outcome, request.principal = self._without(request)
            self._outcomes[outcome,] += 1
            return None
        (credential, is_bearer), *others = presented.items()
        digest = hashlib.sha256(credential).digest()
        if verdict := self._failures.blocks(request.address, digest):
            raise self._limited(request, verdict)
        if others:
            raise self._refusal(request, "conflicting")
        key = self._keyring().at(digest)
        if key is None and is_bearer and credential.count(b".") == 2:
            return self._verify(request, credential, digest)
        if key is None:
            raise self._refusal(request, "unknown")
        if key.expires is not None and key.expired(self._now()):
            raise self._refusal(request, "expired")
        self._accept(request, key.principal, digest)
        return None

    async def _verify(self, request: Request, token: bytes, digest: bytes) -> None:
        try:
            principal = await self._tokens.verify(token, digest)
        except TokenError as error:
            raise self._refusal(request, error.outcome) from error
        self._accept(request, principal, digest)
        self._require_scopes(principal)

    def _accept(self, request: Request, principal: Principal, digest: bytes) -> None:
        self._failures.succeeded(digest)
        self._outcomes[ACCEPTED] += 1
        request.principal = principal

    def _without(self, request: Request) -> tuple[str, Principal]:
        """Say who a caller without any credential is.

        Raises:
            Refused: Nobody who is let in.
        """
        access, address = self._settings(), request.address
        if access.insecure_anonymous:
            return "anonymous", UNAUTHENTICATED
        if access.permissive and self._now() < access.permissive.ends:
            self._audit.record(
                Event.PERMISSIVE_ENTRY,
                address=address,
                user_agent=_user_agent(request),
                until=access.permissive.until,
            )
            return "permissive", UNAUTHENTICATED
        if verdict := self._failures.blocks(address, None):
            raise self._limited(request, verdict)
        raise self._refusal(request, "missing")

    def _require_scopes(self, principal: Principal) -> None:
        """Refuse a token that lacks what every token must have.

        Raises:
            Refused: It does.
        """
        jwt = self._settings().jwt
        if jwt is None or not jwt.scopes or not principal.name.startswith(JWT_PRINCIPAL_PREFIX):
            return
        if not principal.scopes.issuperset(jwt.scopes):
            self._audit.record(Event.SCOPE_MISSING, wanted=sorted(jwt.scopes))
            raise Refused(Problem.INSUFFICIENT_SCOPE, details={"scopes": sorted(jwt.scopes)})

    def _refusal(self, request: Request, outcome: str) -> Refused:
        self._outcomes[outcome,] += 1
        self._audit.record(Event.AUTHENTICATION_FAILED, reason=outcome, address=request.address)
        if outcome == "unavailable":  # no fault of the caller's
            return Refused(Problem.TOKENS_UNAVAILABLE, retry_after=UNAVAILABLE_RETRY_SECONDS)
        if verdict := self._failures.failed(request.address):
            return self._limited(request, verdict)
        error = "" if outcome == "missing" else SAID.get(outcome, "It is not known here.")
        return Refused(Problem.UNAUTHENTICATED, headers=self._challenges.credential(error))

    def _limited(self, request: Request, verdict: Verdict) -> Refused:
        self._outcomes["limited",] += 1
        self._audit.record(Event.RATE_LIMITED, bucket="failures", address=request.address)
        return Refused(
            Problem.RATE_LIMITED,
            "There were too many bad credentials from this address.",
            headers=verdict.headers("failures"),
            retry_after=verdict.retry_seconds,
        )


def credentials(request: Request, raw: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bool]:
    """Get every different credential that a request brings, and whether it came as a bearer's.

    An Authorization of another kind than Bearer counts, as one that is no key: who sends it beside
    a key means two things at once.
    """
    key = request.headers.get(b"x-api-key")
    if b"authorization" not in request.headers and len(request.headers) == len(raw):
        return {} if key is None else {key: False}
    found: dict[bytes, bool] = {}
    for name, value in raw:
        if name == b"x-api-key":
            found.setdefault(value, False)
        elif name == b"authorization":
            is_bearer = value[: len(BEARER)].lower() == BEARER
            found[value[len(BEARER) :].strip(b" \t") if is_bearer else NO_KEY] = is_bearer
    return found


def _user_agent(request: Request) -> str:
    found = request.headers.get(b"user-agent", b"")
    return found.decode("latin-1")[:USER_AGENT_CHARACTERS_MAX]
