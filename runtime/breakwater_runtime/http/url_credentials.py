"""Credentials belong into headers: URLs stand in logs, histories and Referer headers."""

import re
from urllib.parse import parse_qsl

from starlette.types import Scope

from breakwater_runtime.calls import Problem, Refused, Request
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

    def __init__(self, *, audit: Audit) -> None:
        """Record each in the audit stream, without what it contained."""
        self._audit = audit

    def __call__(self, scope: Scope, request: Request) -> None:  # noqa: ARG002 - as Step has it
        """Let go on what keeps its secrets."""
        if scope["query_string"] and contains_credential(scope["query_string"]):
            self._audit.record(Event.CREDENTIAL_IN_URL)
            raise Refused(Problem.CREDENTIAL_IN_URL)


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
