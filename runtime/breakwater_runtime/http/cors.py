"""CORS: what a browser lets the pages of allowed origins do with this server."""

from collections.abc import Awaitable, Container, Mapping

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Scope

from breakwater_runtime.calls import Request

METHODS = "GET, POST, DELETE, OPTIONS"
PREFLIGHT_SECONDS = 600
"""How long a browser may remember the answer to a preflight; an origin taken off the list is
refused at once all the same."""

REQUEST_HEADERS = frozenset(
    {
        "accept",
        "authorization",
        "baggage",
        "content-type",
        "last-event-id",
        "traceparent",
        "tracestate",
        "x-api-key",
        "x-request-id",
    }
)
MCP_HEADERS = "mcp-"
"""Beginning of the protocol's own headers; servers name some of them (`Mcp-Param-...`)."""

EXPOSED = (
    "Mcp-Session-Id, MCP-Protocol-Version, X-Request-ID, WWW-Authenticate, Retry-After, "
    "RateLimit, RateLimit-Policy"
)


def readable(
    headers: list[tuple[bytes, bytes]], origin: str, origins: Container[str]
) -> list[tuple[bytes, bytes]]:
    """Complete the headers of an answer that a page of `origin` gets; it reads it if it may."""
    answer = MutableHeaders(raw=headers)
    answer.add_vary_header("Origin")
    if origin in origins:
        answer["access-control-allow-origin"] = origin
        answer["access-control-expose-headers"] = EXPOSED
    return answer.raw


class Preflight:
    """Answers preflights, which browsers send without credentials.

    It stands behind the check of origins: whoever comes here may call.
    """

    def __call__(self, scope: Scope, request: Request) -> Awaitable[ASGIApp] | None:
        """Answer a preflight; let everything else go on."""
        if scope["method"] != "OPTIONS":
            return None
        headers = request.headers
        if b"origin" not in headers or b"access-control-request-method" not in headers:
            return None
        return self._answer(headers.get(b"access-control-request-headers", b"").decode("latin-1"))

    async def _answer(self, asked: str) -> ASGIApp:
        return Response(status_code=204, headers=_allowed(asked))


def _allowed(asked: str) -> Mapping[str, str]:
    names = (each.strip() for each in asked.split(","))
    allowed = [each for each in names if _is_allowed(each.lower())]
    return {
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": ", ".join(allowed),
        "access-control-max-age": str(PREFLIGHT_SECONDS),
    }


def _is_allowed(name: str) -> bool:
    return name in REQUEST_HEADERS or name.startswith(MCP_HEADERS)
