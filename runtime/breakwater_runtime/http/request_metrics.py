"""How long requests take, by endpoint and status."""

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from breakwater_runtime.observability.series import Histogram, Series

METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
OTHER = "_other"
"""What stands for a method or path that callers made up: label values come from closed sets."""

CLIENT_CLOSED = 499
"""The status of a request whose client went away before there was an answer; nginx's number."""


class RequestMetrics:
    """Observes every request once its last byte has been sent."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        duration: Histogram,
        route: Callable[[str], str | None],
        elapsed: Callable[[], float],
    ) -> None:
        """Observe in `duration`; paths that `route` does not know count as one."""
        self._app = app
        self._duration = duration
        self._route = route
        self._elapsed = elapsed
        self._series: dict[tuple[str, str, int], Series] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and observe how it went."""
        status = CLIENT_CLOSED

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        start = self._elapsed()
        try:
            await self._app(scope, receive, watched)
        finally:
            method = scope["method"] if scope["method"] in METHODS else OTHER
            route = self._route(scope["path"]) or OTHER
            series = self._series.get((method, route, status))
            if series is None:
                series = self._duration.labels(method, route, status)
                self._series[method, route, status] = series
            series.observe(self._elapsed() - start)
