"""CORS preflights: browsers send them without credentials, so no check comes before them."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from breakwater_runtime.calls import Problem, Refused


class Preflight:
    """Tells browsers that no page may call: no origin is allowed."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand in front of `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight; pass everything else on."""
        headers = Headers(scope=scope)
        if (
            scope["method"] == "OPTIONS"
            and "origin" in headers
            and "access-control-request-method" in headers
        ):
            raise Refused(Problem.ORIGIN_NOT_ALLOWED)
        await self._app(scope, receive, send)
