"""How long requests take and what becomes of them: observed once, behind the gate."""

from collections.abc import Callable

from mcp_types import INTERNAL_ERROR
from mcp_types.methods import SPEC_CLIENT_METHODS
from prometheus_client import Histogram

from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.calls import Call, Outcome, Refused, RpcError

OTHER = "_other"
"""What stands for a method or tool that callers made up: label values come from closed sets."""

LIMITED = frozenset({429, 503})
SERVER_FAILED = 500


class Watch:
    """Observes requests in `mcp_server_operation_duration_seconds`."""

    def __init__(self, backend: Backend, duration: Histogram, elapsed: Callable[[], float]) -> None:
        """Observe requests to `backend`, by the clock `elapsed`."""
        self._backend = backend
        self._duration = duration
        self.elapsed = elapsed
        self._series: dict[tuple[str, str, Outcome], Histogram] = {}

    def observe(self, call: Call, outcome: Outcome, since: float) -> None:
        """Observe one that began at `since`."""
        method = call.method if call.method in SPEC_CLIENT_METHODS else OTHER
        tool = self._tool(call) if method == "tools/call" else ""
        series = self._series.get((method, tool, outcome))
        if series is None:
            series = self._duration.labels(method, tool, outcome)
            self._series[method, tool, outcome] = series
        series.observe(self.elapsed() - since)

    def _tool(self, call: Call) -> str:
        name = (call.params or {}).get("name")
        return name if isinstance(name, str) and self._backend.has_tool(name) else OTHER


def outcome_of(failure: RpcError | Refused) -> Outcome:
    """Say whose fault it is that there is no result."""
    if isinstance(failure, RpcError):
        return "server_error" if failure.code == INTERNAL_ERROR else "caller_error"
    status = failure.problem.value.status
    if status in LIMITED:
        return "limited"
    return "server_error" if status >= SERVER_FAILED else "caller_error"
