"""The Origin check: no web page may use what a browser on the same network can reach."""

from collections.abc import Callable, Container

from starlette.types import ASGIApp, Receive, Scope, Send

from breakwater_runtime.calls import Problem, Refused
from breakwater_runtime.http.cors import origin_of
from breakwater_runtime.observability.audit import Audit, Event

SHOWN_CHARACTERS_MAX = 128


class Origin:
    """Refuses requests of web pages whose origin is not on the list.

    Browsers alone send the header, and they always do across origins, also when DNS was rebound.
    """

    def __init__(
        self, app: ASGIApp, *, origins: Callable[[], Container[str]], audit: Audit
    ) -> None:
        """Let the origins of the moment pass."""
        self._app = app
        self._origins = origins
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what no page sent, or a page that may."""
        origin = origin_of(scope)
        if origin is not None and origin not in self._origins():
            self._audit.record(Event.ORIGIN_REFUSED, origin=origin[:SHOWN_CHARACTERS_MAX])
            raise Refused(Problem.ORIGIN_NOT_ALLOWED)
        await self._app(scope, receive, send)
