"""The body limit: how much of a request is ever read."""

from collections.abc import Callable

from starlette.types import Message, Receive, Scope

from breakwater_runtime.calls import Problem, Refused, Request


class BodyLimit:
    """Refuses a body that says it is larger; one that does not say is watched as it is read."""

    def __init__(self, *, max_bytes: Callable[[], int]) -> None:
        """Let bodies of up to `max_bytes` pass, whatever that is at the moment."""
        self._max_bytes = max_bytes

    def __call__(self, scope: Scope, request: Request) -> None:  # noqa: ARG002 - as Step has it
        """Look at the length that a body says it has."""
        max_bytes = self._max_bytes()
        declared = request.headers.get(b"content-length", b"")
        if not declared.isdigit():
            request.body_bytes_max = max_bytes
        elif int(declared) > max_bytes:
            raise _refusal(max_bytes)


def limited(receive: Receive, max_bytes: int) -> Receive:
    """Read no more than so much of a body that does not say how long it is."""
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > max_bytes:
            raise _refusal(max_bytes)
        return message

    return counted


def _refusal(max_bytes: int) -> Refused:
    return Refused(
        Problem.BODY_TOO_LARGE,
        f"The request body is larger than {max_bytes} bytes.",
        # What is left of the body stands in the way of the next request.
        headers={"connection": "close"},
    )
