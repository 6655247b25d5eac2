"""The body limit: how much of a request is ever kept."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from breakwater_runtime.calls import Problem, Refused

DISCARDED_BYTES_MAX = 32 * 1024 * 1024
DISCARD_SECONDS_MAX = 10
"""How much of a refused body is still read, and dropped.

A connection that is closed while its client still writes is reset, and the client loses the answer
that says why. Past these bounds that is its own doing.
"""


class BodyLimit:
    """Refuses a body that says it is larger, or turns out to be."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        """Let bodies of up to `max_bytes` pass."""
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a body that cannot exceed the limit."""
        headers = Headers(scope=scope)
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._max_bytes:
            # Who asks whether to send the body has not begun, and is told not to.
            raise self._refusal(ended="expect" not in headers and await _discard(receive))
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._max_bytes:
                raise self._refusal(
                    ended=not message.get("more_body", False) or await _discard(receive)
                )
            return message

        await self._app(scope, counted, send)

    def _refusal(self, *, ended: bool) -> Refused:
        return Refused(
            Problem.BODY_TOO_LARGE,
            f"The request body is larger than {self._max_bytes} bytes.",
            # What is left of the body would stand in the way of the next request.
            headers={} if ended else {"connection": "close"},
        )


async def _discard(receive: Receive) -> bool:
    """Read and drop the rest of a body; say whether its end was reached."""
    read = 0
    try:
        async with asyncio.timeout(DISCARD_SECONDS_MAX):
            while read <= DISCARDED_BYTES_MAX:
                message = await receive()
                read += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return True
    except TimeoutError:
        return False
    return False
