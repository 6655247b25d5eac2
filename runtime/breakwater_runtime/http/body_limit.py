"""The body limit: how much of a request is ever read."""

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from breakwater_runtime.calls import Problem, Refused


class BodyLimit:
    """Refuses a body that says it is larger, and stops reading one that turns out to be."""

    def __init__(self, app: ASGIApp, *, max_bytes: Callable[[], int]) -> None:
        """Let bodies of up to `max_bytes` pass, whatever that is at the moment."""
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a body that cannot exceed the limit."""
        max_bytes = self._max_bytes()
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > max_bytes:
            raise _refusal(max_bytes)
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > max_bytes:
                raise _refusal(max_bytes)
            return message

        await self._app(scope, counted, send)


def _refusal(max_bytes: int) -> Refused:
    return Refused(
        Problem.BODY_TOO_LARGE,
        f"The request body is larger than {max_bytes} bytes.",
        # What is left of the body stands in the way of the next request.
        headers={"connection": "close"},
    )
