"""Refusals and failures become bytes here, and only here."""

import logging
from collections.abc import Callable, Container, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response
from starlette.types import Scope

from breakwater_runtime.backends.encoding import dumps
from breakwater_runtime.calls import API_VERSION, Problem, Refused, Request

logger = logging.getLogger(__name__)


Challenge = Callable[[Iterable[str]], Mapping[str, str]]


class Errors:
    """Makes answers of what steps and endpoints refuse or fail at, in the endpoint's own form."""

    def __init__(
        self,
        *,
        json_rpc: Container[str],
        now: Callable[[], datetime],
        challenge: Challenge | None = None,
    ) -> None:
        """Answer in JSON-RPC at the paths `json_rpc`, elsewhere with the one error body.

        Args:
            json_rpc: The paths at which JSON-RPC is spoken.
            now: The wall clock.
            challenge: Makes the headers that ask for a token with more scopes.
        """
        self._json_rpc = json_rpc
        self._now = now
        self._challenge = challenge

    def answer(self, error: Exception, request: Request, scope: Scope) -> Response:
        """Make the answer to a request that ended in an error."""
        if isinstance(error, Refused):
            refusal = error
        else:
            logger.error("request failed", exc_info=error)
            refusal = Refused(Problem.INTERNAL)
        request.outcome = refusal.problem.outcome
        is_plain = refusal.is_plain or request.is_plain
        is_rpc = scope["path"] in self._json_rpc and not is_plain
        form = rpc_body if is_rpc else plain_body
        return Response(
            dumps(form(refusal, request.id, self._now())),
            status_code=refusal.problem.value.status,
            headers={**self._challenges(refusal), **_headers(refusal)},
            media_type="application/json",
        )

    def _challenges(self, refusal: Refused) -> Mapping[str, str]:
        wants_scopes = refusal.problem is Problem.INSUFFICIENT_SCOPE and "scopes" in refusal.details
        if self._challenge is None or not wants_scopes:
            return {}
        return self._challenge(refusal.details["scopes"])


def plain_body(refusal: Refused, request_id: str, now: datetime) -> dict[str, Any]:
    """Make the one error body of plain HTTP endpoints."""
    answer = refusal.problem.value
    return {
        "apiVersion": API_VERSION,
        "success": False,
        "error": {
            "code": refusal.problem.name,
            "message": refusal.message or answer.message,
            "hint": answer.hint,
            "retryable": answer.retryable,
            **_more(refusal),
        },
        "requestId": request_id,
        "correlationId": request_id,
        "timestamp": _timestamp(now),
    }


def rpc_body(refusal: Refused, request_id: str, now: datetime) -> dict[str, Any]:
    """Make the same error as a JSON-RPC one; `data` holds what JSON-RPC has no member for."""
    answer = refusal.problem.value
    return {
        "jsonrpc": "2.0",
        "id": refusal.message_id,
        "error": {
            "code": refusal.code,
            "message": refusal.message or answer.message,
            "data": {
                "code": refusal.problem.name,
                "hint": answer.hint,
                "retryable": answer.retryable,
                **_more(refusal),
                "requestId": request_id,
                "correlationId": request_id,
                "timestamp": _timestamp(now),
            },
        },
    }


def _more(refusal: Refused) -> dict[str, Any]:
    waiting = {} if refusal.retry_after is None else {"retryAfter": refusal.retry_after}
    return {**refusal.details, **waiting}


def _headers(refusal: Refused) -> dict[str, str]:
    waiting = {} if refusal.retry_after is None else {"retry-after": str(refusal.retry_after)}
    return {**waiting, **refusal.headers}


def _timestamp(now: datetime) -> str:
    return now.astimezone(UTC).isoformat("T", "milliseconds").replace("+00:00", "Z")
