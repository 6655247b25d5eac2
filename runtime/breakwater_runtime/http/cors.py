"""CORS: what a browser lets the pages of allowed origins do with this server."""

from collections.abc import Callable, Container, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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


class Cors:
    """Lets pages of allowed origins read answers, refusals included."""

    def __init__(self, app: ASGIApp, *, origins: Callable[[], Container[str]]) -> None:
        """Name the origins of the moment that may read."""
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; say in its answer whether the page may read it."""
        origin = origin_of(scope)
        if origin is None:
            await self._app(scope, receive, send)
            return

        async def send_readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.add_vary_header("Origin")
                if origin in self._origins():
                    headers["access-control-allow-origin"] = origin
                    headers["access-control-expose-headers"] = EXPOSED
            await send(message)

        await self._app(scope, receive, send_readable)


class Preflight:
    """Answers preflights, which browsers send without credentials."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand behind the check of origins: whoever comes here may call."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight; pass everything else on."""
        if scope["method"] == "OPTIONS":
            headers = Headers(scope=scope)
            if "origin" in headers and "access-control-request-method" in headers:
                await Response(status_code=204, headers=_allowed(headers))(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _allowed(headers: Headers) -> Mapping[str, str]:
    asked = (each.strip() for each in headers.get("access-control-request-headers", "").split(","))
    allowed = [each for each in asked if _is_allowed(each.lower())]
    return {
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": ", ".join(allowed),
        "access-control-max-age": str(PREFLIGHT_SECONDS),
    }


def _is_allowed(name: str) -> bool:
    return name in REQUEST_HEADERS or name.startswith(MCP_HEADERS)


def origin_of(scope: Scope) -> str | None:
    """Get the origin of the page that a request comes from; None: it is not a page's.

    Several of them are joined to one that no list contains.
    """
    found = [value for name, value in scope["headers"] if name == b"origin"]
    return b", ".join(found).decode("latin-1") if found else None
