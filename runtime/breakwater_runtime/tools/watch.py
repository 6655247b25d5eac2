"""How long requests take and what becomes of them: observed once, behind the gate."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from prometheus_client import Counter

from breakwater_contract.mcp import INTERNAL_ERROR, SPEC_CLIENT_METHODS
from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.calls import Call, Outcome, Problem, Refused, Request, RpcError
from breakwater_runtime.observability.audit import Audit, Event
from breakwater_runtime.observability.options import Options
from breakwater_runtime.observability.series import Histogram, Series
from breakwater_runtime.observability.telemetry import Telemetry

logger = logging.getLogger(__name__)
messages = logging.getLogger("breakwater.requests")

OTHER = "_other"
"""What stands for a method or tool that callers made up: label values come from closed sets."""

TOOLS_CALL = "tools/call"
LISTEN = "subscriptions/listen"

NAMES_MAX = 32


@dataclass(frozen=True, slots=True)
class Watching:
    """Where requests are observed."""

    duration: Histogram
    slow: Counter
    audit: Audit
    telemetry: Telemetry
    options: Callable[[], Options]
    elapsed: Callable[[], float]


class Watch:
    """Observes requests in `mcp_server_operation_duration_seconds`, traces, audit and log."""

    def __init__(self, backend: Backend, watching: Watching) -> None:
        """Observe requests to `backend`."""
        self._backend = backend
        self._on = watching
        self._elapsed = watching.elapsed
        self._telemetry = watching.telemetry
        self._options = watching.options
        self._series: dict[tuple[str, str, Outcome], Series] = {}
        self._tools: set[str] = set()
        """Names that were seen to be tools'; they remain label values whatever becomes of them."""
        self.active = 0
        """Calls of tools that are being answered."""

    def begin(self, call: Call) -> float:
        """Have a request begin, and get when it did."""
        if call.method == TOOLS_CALL:
            self.active += 1
            request = Request.find(call.scope)
            if request is not None:
                request.tool_calls += 1
        spans = self._telemetry.spans
        if spans is not None:
            call.span = spans.begin_call(call)
        return self._elapsed()

    def end(self, call: Call, outcome: Outcome, since: float) -> None:
        """Observe one that began at `since`."""
        seconds = self._elapsed() - since
        method, tool = call.method, ""
        request = Request.find(call.scope)
        if method == TOOLS_CALL:
            self.active -= 1
            tool = self._tool(call)
            if request is not None:
                in_tool = call.tool_seconds
                request.tool_seconds += seconds if in_tool is None else in_tool
        elif method not in SPEC_CLIENT_METHODS:
            method = OTHER
        if request is not None and outcome != "ok":
            request.outcome = outcome
        series = self._series.get((method, tool, outcome))
        if series is None:
            series = self._on.duration.labels(method, tool, outcome)
            self._series[method, tool, outcome] = series
        series.observe(seconds)
        if call.span is not None:
            call.span.end_call(call, outcome)
        options = self._options()
        if seconds >= options.slow_seconds and method != LISTEN:
            self._tell_slow(call, method, tool, seconds)
        if options.audit_calls and tool:
            self._audit(call, outcome, seconds)
        if options.log_requests:
            messages.info("message", extra=_shape(call, outcome, seconds))

    def _tell_slow(self, call: Call, method: str, tool: str, seconds: float) -> None:
        self._on.slow.labels(method, tool).inc()
        in_tool = call.tool_seconds
        logger.warning(
            "slow operation",
            extra={
                "method": method,
                "tool": tool,
                "duration": round(seconds, 3),
                "in_tool": None if in_tool is None else round(in_tool, 3),
                "active_calls": self.active,
            },
        )

    def _audit(self, call: Call, outcome: Outcome, seconds: float) -> None:
        self._on.audit.record(
            Event.TOOL_CALLED,
            target=_name(call),
            backend=call.backend or self._backend.name,
            outcome=outcome,
            duration=round(seconds, 6),
        )

    def _tool(self, call: Call) -> str:
        name = (call.params or {}).get("name")
        if not isinstance(name, str):
            return OTHER
        if name not in self._tools:
            if not self._backend.has_tool(name):
                return OTHER
            self._tools.add(name)
        return name


def _name(call: Call) -> str:
    return str((call.params or {}).get("name"))[:128]


def _shape(call: Call, outcome: Outcome, seconds: float) -> dict[str, Any]:
    """Describe a message without what is in it: of arguments the names alone."""
    arguments = (call.params or {}).get("arguments")
    names = list(arguments)[:NAMES_MAX] if isinstance(arguments, dict) else []
    return {
        "method": call.method[:128],
        "target": _name(call) if call.method == TOOLS_CALL else "",
        "arguments": [name[:128] for name in names],
        "version": call.version,
        "outcome": outcome,
        "error": call.error or call.error_code or "",
        "duration": round(seconds, 6),
    }


def outcome_of(failure: RpcError | Refused) -> Outcome:
    """Say whose fault it is that there is no result."""
    if isinstance(failure, RpcError):
        return _outcome_of_error(failure)
    return failure.problem.outcome


def _outcome_of_error(failure: RpcError) -> Outcome:
    """Say whose fault an error is; what it calls itself counts before its number."""
    named = failure.data.get("code") if isinstance(failure.data, dict) else None
    problem = Problem.__members__.get(named) if isinstance(named, str) else None
    if problem is not None:
        return problem.outcome
    return "server_error" if failure.code == INTERNAL_ERROR else "caller_error"
