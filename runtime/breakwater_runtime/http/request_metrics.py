"""How long requests take, by endpoint and status."""

from collections.abc import Callable

from starlette.types import Scope

from breakwater_runtime.calls import Request
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
        *,
        duration: Histogram,
        route: Callable[[str], str | None],
        elapsed: Callable[[], float],
    ) -> None:
        """Observe in `duration`; paths that `route` does not know count as one."""
        self._duration = duration
        self._route = route
        self._elapsed = elapsed
        self._series: dict[tuple[str, str, int], Series] = {}

    def __call__(self, scope: Scope, request: Request) -> None:
        """Observe the request once it is over."""
        since = self._elapsed()
        method = scope["method"] if scope["method"] in METHODS else OTHER
        route = self._route(scope["path"]) or OTHER

        def observe(request: Request) -> None:
            status = CLIENT_CLOSED if request.status is None else request.status
            self._child(method, route, status).observe(self._elapsed() - since)

        request.ends.append(observe)

    def _child(self, method: str, route: str, status: int) -> Series:
        child = self._series.get((method, route, status))
        if child is None:
            child = self._duration.labels(method, route, status)
            self._series[method, route, status] = child
        return child
