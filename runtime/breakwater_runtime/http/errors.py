"""Refusals and failures become bytes here, and only here."""

import logging
from collections.abc import Callable, Container
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from breakwater_runtime.calls import Problem, Refused, Request

logger = logging.getLogger(__name__)

API_VERSION = "1.0.0"


class Errors:
    """Answers what the steps behind it refuse or fail at, in the endpoint's own form."""

    def __init__(
        self, app: ASGIApp, *, json_rpc: Container[str], now: Callable[[], datetime]
    ) -> None:
        """Answer in JSON-RPC at the paths `json_rpc`, elsewhere with the one error body."""
        self._app = app
        self._json_rpc = json_rpc
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; once its answer has begun, a failure can only cut it."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Refused as refusal:
            if begun:
                raise
            await self._answer(refusal, scope, receive, send)
        except Exception:
            if begun:
                raise  # the HTTP server logs it and cuts the connection
            logger.exception("request failed")
            await self._answer(Refused(Problem.INTERNAL), scope, receive, send)

    async def _answer(self, refusal: Refused, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request.of(scope)
        is_plain = refusal.is_plain or request.is_plain
        is_rpc = scope["path"] in self._json_rpc and not is_plain
        form = rpc_body if is_rpc else plain_body
        body = form(refusal, request.id, self._now())
        response = Response(
            orjson.dumps(body),
            status_code=refusal.problem.value.status,
            headers=_headers(refusal),
            media_type="application/json",
        )
        await response(scope, receive, send)


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
            "code": answer.rpc_code,
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
