"""HTTPS required: who comes without it is sent there, or refused."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.types import Scope

from breakwater_contract.access import Access
from breakwater_runtime.calls import Problem, Refused, Request
from breakwater_runtime.http.host import host_of, without_port
from breakwater_runtime.observability.audit import Audit, Event

_HOST = re.compile(r"[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\]")


class Https:
    """Lets nothing pass that somebody on the way could read, where the settings ask for it."""

    def __init__(self, *, settings: Callable[[], Access], audit: Audit) -> None:
        """Go by the settings of the moment."""
        self._settings = settings
        self._audit = audit

    def __call__(self, scope: Scope, request: Request) -> None:
        """Let what is secure go on."""
        access = self._settings()
        if access.require_https is None or request.secure:
            return
        target = _target(scope, request, access) if access.require_https == "Redirect" else None
        if target is None:
            self._audit.record(Event.HTTPS_REFUSED, address=request.address)
            raise Refused(Problem.HTTPS_REQUIRED)
        self._audit.record(Event.HTTPS_REDIRECTED, address=request.address)
        raise Refused(Problem.HTTPS_REDIRECT, headers={"location": target})


def _target(scope: Scope, request: Request, access: Access) -> str | None:
    """Say where the same thing is with HTTPS; None: nobody knows.

    The public URL says it. The Host header does for want of it: it cannot send anybody elsewhere
    but the client who wrote it.
    """
    public = access.public_url
    host = urlsplit(public).netloc if public else without_port(host_of(request))
    if not access.public_url and not _HOST.fullmatch(host):
        return None
    path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    return f"https://{host}{path}{'?' if query else ''}{query}"
