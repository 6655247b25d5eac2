"""The way of a request through its steps to its endpoint, and of the answer back."""

import re
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from breakwater_runtime.calls import Problem, Request, by_name
from breakwater_runtime.http.answer_headers import REQUEST_ID, AnswerHeaders
from breakwater_runtime.http.body_limit import limited
from breakwater_runtime.http.errors import Errors
from breakwater_runtime.observability.logs import CURRENT

Step = Callable[[Scope, Request], Awaitable[ASGIApp | None] | None]
"""Looks at a request, and refuses it by raising `Refused`.

None lets it go on at once. A step that has to wait returns what is to be awaited; where something
comes of that, it answers the request in place of the endpoint.
"""

ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
"""What a client's id may look like; anything else could forge log lines or grow without bound."""


class Pipeline:
    """Gives every request an id, takes it through the steps, and completes its answer.

    One object of a few calls, and not an ASGI app around each step: wrapped around each other they
    cost more than what they do.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        endpoint: ASGIApp,
        *,
        headers: AnswerHeaders,
        errors: Errors,
        new_id: Callable[[], str],
    ) -> None:
        """Take requests through `steps`, in this order, to `endpoint`."""
        self._steps = tuple(steps)
        self._endpoint = endpoint
        self._headers = headers
        self._errors = errors
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have one request answered; once its answer has begun, a failure can only cut it."""
        headers = by_name(scope["headers"])
        request = Request(self._id(headers.get(REQUEST_ID)), headers=headers)
        request.bind(scope)
        answer = Outgoing(request, send, self._headers)
        token = CURRENT.set(request)
        try:
            await self._answer(request, scope, receive, answer)
        except Exception as error:
            if answer.begun:
                request.give_up(Problem.INTERNAL)
                raise  # the HTTP server logs it and cuts the connection
            request.told = ()
            await self._errors.answer(error, request, scope)(scope, receive, answer)
        except CancelledError:
            # Calls whose client leaves end well: it is the process that stops.
            request.give_up(Problem.SHUTTING_DOWN)
            raise
        finally:
            request.is_over = True
            for end in reversed(request.ends):
                end(request)
            CURRENT.reset(token)

    def _id(self, offered: bytes | None) -> str:
        if offered is not None:
            text = offered.decode("latin-1")
            if ACCEPTED_ID.fullmatch(text):
                return text
        return self._new_id()

    async def _answer(
        self, request: Request, scope: Scope, receive: Receive, answer: "Outgoing"
    ) -> None:
        for step in self._steps:
            waiting = step(scope, request)
            if waiting is not None:
                instead = await waiting
                if instead is not None:
                    await instead(scope, receive, answer)
                    return
        if request.body_bytes_max is not None:
            receive = limited(receive, request.body_bytes_max)
        await self._endpoint(scope, receive, answer)


class Outgoing:
    """Completes the head of one answer on its way to the client."""

    __slots__ = ("_headers", "_request", "_send", "begun")

    def __init__(self, request: Request, send: Send, headers: AnswerHeaders) -> None:
        self._request = request
        self._send = send
        self._headers = headers
        self.begun = False
        """Whether the client has got anything of it."""

    async def __call__(self, message: Message) -> None:
        """Send a part of the answer."""
        if not self.begun:
            self.begun = True
            request = self._request
            request.status = message["status"]
            message["headers"] = self._headers.complete(message.get("headers", ()), request)
        elif self._request.is_stream and self._request.said is not None:
            self._request.said(self._request, message.get("body", b""))
        await self._send(message)
