"""The body limit: how much of a request is ever read."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from breakwater_runtime.calls import Problem, Refused


class BodyLimit:
    """Refuses a body that says it is larger, and stops reading one that turns out to be."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        """Let bodies of up to `max_bytes` pass."""
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a body that cannot exceed the limit."""
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self._max_bytes:
            raise self._refusal()
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._max_bytes:
                raise self._refusal()
            return message

        await self._app(scope, counted, send)

    def _refusal(self) -> Refused:
        return Refused(
            Problem.BODY_TOO_LARGE,
            f"The request body is larger than {self._max_bytes} bytes.",
            # What is left of the body stands in the way of the next request.
            headers={"connection": "close"},
        )
