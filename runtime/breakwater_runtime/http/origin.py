"""The Origin check: no web page may use what a browser on the same network can reach."""

from collections.abc import Callable, Container

from starlette.types import Scope

from breakwater_runtime.calls import Problem, Refused, Request
from breakwater_runtime.observability.audit import Audit, Event

SHOWN_CHARACTERS_MAX = 128


class Origin:
    """Refuses requests of web pages whose origin is not on the list.

    Browsers alone send the header, and they always do across origins, also when DNS was rebound.
    """

    def __init__(self, *, origins: Callable[[], Container[str]], audit: Audit) -> None:
        """Let the origins of the moment pass."""
        self._origins = origins
        self._audit = audit

    def __call__(self, scope: Scope, request: Request) -> None:  # noqa: ARG002 - as Step has it
        """Let go on what no page sent, or a page that may; two origins are none that may."""
        sent = request.headers.get(b"origin")
        if sent is None:
            return
        origin = sent.decode("latin-1")
        if origin not in self._origins():
            self._audit.record(Event.ORIGIN_REFUSED, origin=origin[:SHOWN_CHARACTERS_MAX])
            raise Refused(Problem.ORIGIN_NOT_ALLOWED)
