"""The Origin check: no web page may use what a browser on the same network can reach."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from breakwater_runtime.calls import Problem, Refused


class Origin:
    """Refuses requests that a web page makes.

    Browsers alone send the header, and they always do across origins, also when DNS was rebound.
    The Host header is not checked: a port-forward or a Gateway may put any name there, and a page
    that rebinds DNS has no key.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Stand in front of `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what no page sent."""
        if "origin" in Headers(scope=scope):
            raise Refused(Problem.ORIGIN_NOT_ALLOWED)
        await self._app(scope, receive, send)
