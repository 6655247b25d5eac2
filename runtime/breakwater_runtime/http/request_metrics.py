"""What becomes of every request: how long it took, in metrics, traces and, by choice, the log."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Scope

from breakwater_runtime.calls import FIRST_FAULT_OF_OURS, Outcome, Request
from breakwater_runtime.http import request_log
from breakwater_runtime.observability import trace_context
from breakwater_runtime.observability.options import Options
from breakwater_runtime.observability.series import Histogram, Series
from breakwater_runtime.observability.telemetry import Telemetry

METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
OTHER = "_other"
"""What stands for a method or path that callers made up: label values come from closed sets."""

CLIENT_CLOSED = 499
"""The status of a request whose client went away before there was an answer; nginx's number."""

FIRST_FAULT_OF_CALLERS = 400


@dataclass(frozen=True, slots=True)
class RequestSeries:
    """The metrics that requests are observed in."""

    duration: Histogram
    overhead: Series
    """Time of a tool's call that was not spent in the tool."""
    first_message: Series
    """Time from a request to the first event of the stream that answers it."""
    stream_messages: dict[tuple[str, ...], float]
    stream_bytes: dict[tuple[str, ...], float]


class RequestMetrics:
    """Observes every request once its last byte has been sent."""

    def __init__(
        self,
        series: RequestSeries,
        *,
        route: Callable[[str], str | None],
        elapsed: Callable[[], float],
        telemetry: Telemetry,
        options: Callable[[], Options],
    ) -> None:
        """Observe in `series`; paths that `route` does not know count as one."""
        self._series = series
        self._route = route
        self._elapsed = elapsed
        self._telemetry = telemetry
        self._options = options
        self._durations: dict[tuple[str, str, int, str, Outcome], Series] = {}

    def __call__(self, scope: Scope, request: Request) -> None:
        """Observe the request once it is over."""
        request.began = self._elapsed()
        request.said = self._said
        method = scope["method"] if scope["method"] in METHODS else OTHER
        route = self._route(scope["path"]) or OTHER

        def observe(request: Request) -> None:
            self._observe(request, method, route)

        request.ends.append(observe)
        spans = self._telemetry.spans
        if spans is not None:
            parent = trace_context.well_formed(request.headers.get(b"traceparent"))
            span = spans.begin_request(method, request, parent)

            def end(request: Request) -> None:
                status = CLIENT_CLOSED if request.status is None else request.status
                spans.end_request(span, method, route, status)

            request.ends.append(end)
        if self._options().log_requests:
            request.ends.append(request_log.logged(scope, route, self._elapsed))

    def _observe(self, request: Request, method: str, route: str) -> None:
        seconds = self._elapsed() - request.began
        status = CLIENT_CLOSED if request.status is None else request.status
        if request.tool_calls:
            kind = "tool"
            if request.tool_calls == 1 and not request.is_stream:
                self._series.overhead.observe(max(0.0, seconds - request.tool_seconds))
        elif request.calls_elsewhere:
            kind = "tool"
        else:
            kind = "stream" if request.is_stream else "unary"
        outcome = request.outcome or outcome_of(status)
        key = (method, route, status, kind, outcome)
        child = self._durations.get(key)
        if child is None:
            child = self._durations[key] = self._series.duration.labels(*key)
        child.observe(seconds)

    def _said(self, request: Request, body: bytes) -> None:
        """Count a part of a stream; what only keeps it alive is no message."""
        self._series.stream_bytes[()] += len(body)
        if not body or body.startswith(b":"):
            return
        # Messages are JSON in one line: an empty line ends an event, a line an item of NDJSON.
        self._series.stream_messages[()] += body.count(b"\n\n") or body.count(b"\n")
        request.said = self._said_more
        if not (
            request.tool_calls or request.calls_elsewhere
        ):  # how long a tool takes to say something is its own affair
            seconds = self._elapsed() - request.began
            self._series.first_message.observe(seconds)

    def _said_more(self, request: Request, body: bytes) -> None:  # noqa: ARG002 - as Request has it
        self._series.stream_bytes[()] += len(body)
        if body and not body.startswith(b":"):
            self._series.stream_messages[()] += body.count(b"\n\n") or body.count(b"\n")


def outcome_of(status: int) -> Outcome:
    """Say what became of a request of which nothing but the status is known."""
    if status < FIRST_FAULT_OF_CALLERS:
        return "ok"
    if status == CLIENT_CLOSED:
        return "cancelled"
    return "server_error" if status >= FIRST_FAULT_OF_OURS else "caller_error"
