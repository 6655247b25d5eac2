"""How long requests take and what becomes of them: observed once, behind the gate."""

from collections.abc import Callable

from mcp_types import INTERNAL_ERROR
from mcp_types.methods import SPEC_CLIENT_METHODS

from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.calls import Call, Outcome, Refused, RpcError
from breakwater_runtime.observability.series import Histogram, Series

OTHER = "_other"
"""What stands for a method or tool that callers made up: label values come from closed sets."""

TOOLS_CALL = "tools/call"

LIMITED = frozenset({429, 503})
SERVER_FAILED = 500


class Watch:
    """Observes requests in `mcp_server_operation_duration_seconds`."""

    def __init__(self, backend: Backend, duration: Histogram, elapsed: Callable[[], float]) -> None:
        """Observe requests to `backend`, by the clock `elapsed`."""
        self._backend = backend
        self._duration = duration
        self._elapsed = elapsed
        self._series: dict[tuple[str, str, Outcome], Series] = {}
        self.active = 0
        """Calls of tools that are being answered."""

    def begin(self, call: Call) -> float:
        """Have a request begin, and get when it did."""
        if call.method == TOOLS_CALL:
            self.active += 1
        return self._elapsed()

    def end(self, call: Call, outcome: Outcome, since: float) -> None:
        """Observe one that began at `since`."""
        seconds = self._elapsed() - since
        method, tool = call.method, ""
        if method == TOOLS_CALL:
            self.active -= 1
            tool = self._tool(call)
        elif method not in SPEC_CLIENT_METHODS:
            method = OTHER
        series = self._series.get((method, tool, outcome))
        if series is None:
            series = self._duration.labels(method, tool, outcome)
            self._series[method, tool, outcome] = series
        series.observe(seconds)

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
