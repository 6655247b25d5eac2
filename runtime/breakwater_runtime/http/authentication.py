"""Keys: who asks is known before anything else is looked at."""

import logging
from collections.abc import Callable
from datetime import datetime

from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Scope, Send

from breakwater_runtime.calls import Principal, Problem, Refused, Request
from breakwater_runtime.http.keys import Keyring

logger = logging.getLogger(__name__)

CHALLENGE = {"www-authenticate": "Bearer"}
BEARER = b"bearer "

NO_KEY = b""
"""Stands for a credential that is none of ours; no key is empty."""


class Authentication:
    """Lets a request pass that brings one good key, whatever it asks for."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        keyring: Callable[[], Keyring],
        outcomes: Counter,
        now: Callable[[], datetime],
        open_prefix: str,
    ) -> None:
        """Check against the keys of the moment; paths under `open_prefix` need none."""
        self._app = app
        self._keyring = keyring
        self._outcomes = outcomes
        self._now = now
        self._open_prefix = open_prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the principal for the steps behind, or refuse."""
        if not scope["path"].startswith(self._open_prefix):
            outcome, principal = self._verify(scope)
            self._outcomes.labels(outcome).inc()
            if principal is None:
                logger.info("authentication failed", extra={"reason": outcome})
                raise Refused(Problem.UNAUTHENTICATED, headers=CHALLENGE)
            Request.of(scope).principal = principal
        await self._app(scope, receive, send)

    def _verify(self, scope: Scope) -> tuple[str, Principal | None]:
        presented = credentials(scope)
        if not presented:
            return "missing", None
        if len(presented) > 1:
            return "conflicting", None
        key = self._keyring().find(presented.pop())
        if key is None:
            return "unknown", None
        if key.expired(self._now()):
            return "expired", None
        return "accepted", key.principal


def credentials(scope: Scope) -> set[bytes]:
    """Get every different credential that a request brings, in whichever header.

    An Authorization of another kind than Bearer counts, as one that is no key: who sends it beside
    a key means two things at once.
    """
    found = set()
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            found.add(value)
        elif name == b"authorization":
            is_bearer = value[: len(BEARER)].lower() == BEARER
            found.add(value[len(BEARER) :].strip(b" \t") if is_bearer else NO_KEY)
    return found
