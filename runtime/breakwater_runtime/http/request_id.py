"""The request's id: accepted or made, returned, and in every log line."""

import re
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from breakwater_runtime.calls import Request
from breakwater_runtime.observability.logs import CURRENT

HEADER = "x-request-id"
RAW_HEADER = HEADER.encode()
ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,128}")
"""What a client's id may look like; anything else could forge log lines or grow without bound."""


class RequestId:
    """Gives every request an id, for the steps behind it and for the client."""

    def __init__(self, app: ASGIApp, *, new_id: Callable[[], str]) -> None:
        """Make ids by `new_id` where the client sends none that is accepted."""
        self._app = app
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Bind the request to the scope and to the log, and return its id."""
        offered = Headers(scope=scope).get(HEADER, "")
        request = Request(offered if ACCEPTED.fullmatch(offered) else self._new_id())
        request.bind(scope)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", ()),
                    (RAW_HEADER, request.id.encode()),
                ]
            await send(message)

        token = CURRENT.set(request)
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            CURRENT.reset(token)
