"""One line for each request and its answer, by choice: without bodies and without credentials."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import Scope

from breakwater_runtime.calls import Request

logger = logging.getLogger("breakwater.requests")

SHOWN = frozenset(
    {
        *(b"accept", b"accept-encoding", b"content-length", b"content-type", b"host"),
        *(b"mcp-protocol-version", b"mcp-method", b"mcp-name", b"origin", b"user-agent"),
        *(b"traceparent", b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-request-id"),
    }
)
"""Headers whose values are shown. Of all others the name alone: nobody knows what clients put into
headers of their own, and a session's id is worth as much as a credential."""

REDACTED = "[redacted]"
VALUE_CHARACTERS_MAX = 256


def logged(scope: Scope, route: str, elapsed: Callable[[], float]) -> Callable[[Request], None]:
    """Make what writes the line when the request is over."""

    def log(request: Request) -> None:
        logger.info(
            "request",
            extra={
                "request": {
                    "method": scope["method"],
                    "route": route,
                    "address": request.address,
                    "headers": redacted(request.headers),
                },
                "response": {"status": request.status, "stream": request.is_stream},
                "duration": round(elapsed() - request.began, 6),
            },
        )

    return log


def redacted(headers: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Show headers without what is nobody's business."""
    return {
        name.decode("latin-1"): value.decode("latin-1")[:VALUE_CHARACTERS_MAX]
        if name in SHOWN
        else REDACTED
        for name, value in headers.items()
    }
