"""The Host check: by choice, since a port-forward or a Gateway may put any name there."""

from collections.abc import Callable, Container

from starlette.types import Scope

from breakwater_runtime.calls import Problem, Refused, Request
from breakwater_runtime.observability.audit import Audit, Event

SHOWN_CHARACTERS_MAX = 128


class Host:
    """Refuses requests for host names that are not on the list, where there is one."""

    def __init__(self, *, hosts: Callable[[], Container[str]], audit: Audit) -> None:
        """Serve the hosts of the moment; an empty list means any."""
        self._hosts = hosts
        self._audit = audit

    def __call__(self, scope: Scope, request: Request) -> None:  # noqa: ARG002 - as Step has it
        """Let what is for a host that is served here go on."""
        hosts = self._hosts()
        if hosts:
            host = host_of(request)
            if host not in hosts and without_port(host) not in hosts:
                self._audit.record(Event.HOST_REFUSED, host=host[:SHOWN_CHARACTERS_MAX])
                raise Refused(Problem.MISDIRECTED)


def host_of(request: Request) -> str:
    """Get the host, and port, that a request is for; several are joined to one that is none."""
    return request.headers.get(b"host", b"").decode("latin-1").lower()


def without_port(host: str) -> str:
    """Cut the port off a host."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host
