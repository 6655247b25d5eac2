"""What is cut at the end of a drain is told so, and ends well."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from breakwater_runtime.calls import Problem, Refused, Request
from breakwater_runtime.http.errors import rpc_body

RETRY_SECONDS = 1


class Cut:
    """Turns the cancellation of a request into an answer.

    One that has not begun is a refusal with the call's own id. A stream of events gets the same
    error as its last event, and the chunk that ends it: a stream without an end looks like a broken
    network, and clients would wait or resume.
    """

    def __init__(
        self, app: ASGIApp, *, draining: Callable[[], bool], now: Callable[[], datetime]
    ) -> None:
        """Act where the process stops; a client that leaves is another's business."""
        self._app = app
        self._draining = draining
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and answer for it if it is cancelled."""
        begun: Message | None = None
        ended = False

        async def watched(message: Message) -> None:
            nonlocal begun, ended
            await send(message)
            if message["type"] == "http.response.start":
                begun = message
            else:
                ended = not message.get("more_body", False)

        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            if not self._draining():
                raise
            request = Request.of(scope)
            refusal = Refused(
                Problem.SHUTTING_DOWN, retry_after=RETRY_SECONDS, message_id=request.message_id
            )
            if begun is None:
                raise refusal from None
            if ended or not _is_stream(begun):
                raise
            body = orjson.dumps(rpc_body(refusal, request.id, self._now()))
            event = b"event: message\ndata: %b\n\n" % body
            await send({"type": "http.response.body", "body": event, "more_body": False})


def _is_stream(message: Message) -> bool:
    headers = dict(message.get("headers", ()))
    return bool(headers.get(b"content-type", b"").startswith(b"text/event-stream"))
