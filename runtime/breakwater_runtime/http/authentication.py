"""Credentials: who asks is known before anything else is looked at."""

from collections.abc import Callable, Mapping
from datetime import datetime

from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Scope, Send

from breakwater_contract.access import Access
from breakwater_contract.names import JWT_PRINCIPAL_PREFIX
from breakwater_runtime.calls import Principal, Problem, Refused, Request
from breakwater_runtime.http.challenges import Challenges
from breakwater_runtime.http.keys import Keyring
from breakwater_runtime.http.tokens import TokenError, Tokens
from breakwater_runtime.observability.audit import Audit, Event

BEARER = b"bearer "

NO_KEY = b""
"""Stands for a credential that is none of ours; no key is empty."""

UNAVAILABLE_RETRY_SECONDS = 5

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
        app: ASGIApp,
        *,
        settings: Callable[[], Access],
        keyring: Callable[[], Keyring],
        tokens: Tokens,
        outcomes: Counter,
        audit: Audit,
        now: Callable[[], datetime],
    ) -> None:
        """Check against the settings and keys of the moment."""
        self._app = app
        self._settings = settings
        self._keyring = keyring
        self._tokens = tokens
        self._outcomes = outcomes
        self._audit = audit
        self._now = now
        self._challenges = Challenges(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the principal for the steps behind, or refuse."""
        presented = credentials(scope)
        try:
            principal = await self._verify(presented)
        except TokenError as error:
            self._outcomes.labels(error.outcome).inc()
            raise self._refusal(error.outcome, sent=bool(presented)) from error
        self._outcomes.labels("accepted").inc()
        Request.of(scope).principal = principal
        try:
            self._require_scopes(principal)
            await self._app(scope, receive, send)
        except Refused as refusal:
            if refusal.problem is Problem.INSUFFICIENT_SCOPE and "scopes" in refusal.details:
                challenge = self._challenges.scopes(refusal.details["scopes"])
                refusal.headers = {**challenge, **refusal.headers}
            raise

    async def _verify(self, presented: Mapping[bytes, bool]) -> Principal:
        if not presented:
            raise TokenError("missing")
        if len(presented) > 1:
            raise TokenError("conflicting")
        ((credential, is_bearer),) = presented.items()
        key = self._keyring().find(credential)
        if key is not None:
            if key.expired(self._now()):
                raise TokenError("expired")
            return key.principal
        if is_bearer and credential.count(b".") == 2:
            return await self._tokens.verify(credential)
        raise TokenError("unknown")

    def _require_scopes(self, principal: Principal) -> None:
        """Refuse a token that lacks what every token must have.

        Raises:
            Refused: It does.
        """
        jwt = self._settings().jwt
        if jwt is None or not jwt.scopes or not principal.name.startswith(JWT_PRINCIPAL_PREFIX):
            return
        if not principal.scopes.issuperset(jwt.scopes):
            raise Refused(Problem.INSUFFICIENT_SCOPE, details={"scopes": sorted(jwt.scopes)})

    def _refusal(self, outcome: str, *, sent: bool) -> Refused:
        self._audit.record(Event.AUTHENTICATION_FAILED, reason=outcome)
        if outcome == "unavailable":
            return Refused(Problem.TOKENS_UNAVAILABLE, retry_after=UNAVAILABLE_RETRY_SECONDS)
        error = SAID.get(outcome, "The credential is not known here.") if sent else ""
        return Refused(Problem.UNAUTHENTICATED, headers=self._challenges.credential(error))


def credentials(scope: Scope) -> dict[bytes, bool]:
    """Get every different credential that a request brings, and whether it came as a bearer's.

    An Authorization of another kind than Bearer counts, as one that is no key: who sends it beside
    a key means two things at once.
    """
    found: dict[bytes, bool] = {}
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            found.setdefault(value, False)
        elif name == b"authorization":
            is_bearer = value[: len(BEARER)].lower() == BEARER
            found[value[len(BEARER) :].strip(b" \t") if is_bearer else NO_KEY] = is_bearer
    return found
