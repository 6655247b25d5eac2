"""Credentials belong into headers: URLs stand in logs, histories and Referer headers."""

import re
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Receive, Scope, Send

from breakwater_runtime.calls import Problem, Refused
from breakwater_runtime.observability.audit import Audit, Event

NAMES = frozenset(
    {
        "accesstoken",
        "apikey",
        "auth",
        "authorization",
        "authtoken",
        "bearer",
        "clientsecret",
        "idtoken",
        "jwt",
        "key",
        "password",
        "refreshtoken",
        "secret",
        "token",
        "xapikey",
    }
)
"""Names of parameters that hold credentials elsewhere, without case, `-`, `_` and `.`."""

TOKEN = re.compile(r"(Bearer\s+)?eyJ[\w-]*\.[\w-]+\.[\w-]*", re.IGNORECASE)
"""What a JSON Web Token looks like, whatever its parameter is called."""

PARAMETERS_MAX = 100


class UrlCredentials:
    """Refuses requests whose URL seems to contain a credential, wherever it would lead."""

    def __init__(self, app: ASGIApp, *, audit: Audit) -> None:
        """Stand in front of `app`."""
        self._app = app
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what keeps its secrets."""
        if scope["query_string"] and contains_credential(scope["query_string"]):
            self._audit.record(Event.CREDENTIAL_IN_URL)
            raise Refused(Problem.CREDENTIAL_IN_URL)
        await self._app(scope, receive, send)


def contains_credential(query: bytes) -> bool:
    """Say whether a query string seems to contain one; one that cannot be read counts too."""
    try:
        parameters = parse_qsl(
            query.decode("latin-1"), keep_blank_values=True, max_num_fields=PARAMETERS_MAX
        )
    except ValueError:
        return True
    return any(
        re.sub(r"[-_.]", "", name).lower() in NAMES or TOKEN.fullmatch(value.strip())
        for name, value in parameters
    )
