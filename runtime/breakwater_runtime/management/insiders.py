"""Who is told the details on the private port: the operator, or whoever holds an admin key."""

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import Scope

from breakwater_runtime.management.operator import OperatorTokens


class Insiders:
    """Recognises them.

    An admin key is good for reading details alone: it opens neither MCP nor the public port.
    """

    def __init__(self, tokens: OperatorTokens, *, is_admin_key: Callable[[bytes], bool]) -> None:
        """Go by the tokens and keys of the moment."""
        self._tokens = tokens
        self._is_admin_key = is_admin_key

    def __call__(self, scope: Scope) -> bool:
        """Say whether a request is one of theirs."""
        return self._has_admin_key(scope) or self._tokens.principal(scope) is not None

    def _has_admin_key(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        presented = headers.get("x-api-key") or (bearer if scheme.lower() == "bearer" else "")
        return self._is_admin_key(presented.strip().encode("latin-1"))
