"""Where OAuth clients learn who makes tokens for this server (RFC 9728); open to all."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import orjson
from starlette.responses import Response
from starlette.types import ASGIApp, Scope

from breakwater_contract.access import Access
from breakwater_contract.names import MCP_PATH
from breakwater_runtime.calls import Problem, Refused, Request
from breakwater_runtime.http.challenges import METADATA


class OAuthMetadata:
    """Answers everything under the well-known path, and lets nothing of it further in."""

    def __init__(self, *, settings: Callable[[], Access]) -> None:
        """Say what the settings of the moment say; without OAuth there is nothing here."""
        self._settings = settings

    def __call__(
        self,
        scope: Scope,
        request: Request,  # noqa: ARG002 - as Step has it
    ) -> Awaitable[ASGIApp] | None:
        """Answer at the root and at the path of the resource; let other paths go on."""
        path: str = scope["path"]
        return self._answer(scope, path) if path.startswith(METADATA) else None

    async def _answer(self, scope: Scope, path: str) -> ASGIApp:
        access = self._settings()
        if access.jwt is None or access.public_url is None:
            raise Refused(Problem.NOT_FOUND)
        resource = urlsplit(access.public_url).path.rstrip("/")
        if path.removeprefix(METADATA).rstrip("/") not in {"", resource, MCP_PATH}:
            raise Refused(Problem.NOT_FOUND)
        if scope["method"] not in {"GET", "HEAD"}:
            raise Refused(Problem.METHOD_NOT_ALLOWED, headers={"allow": "GET, HEAD"})
        return Response(orjson.dumps(document(access)), media_type="application/json")


def document(access: Access) -> dict[str, object]:
    """Make the metadata."""
    scopes = sorted(access.scopes_known)
    return {
        "resource": access.public_url,
        "authorization_servers": [access.jwt.issuer] if access.jwt else [],
        "bearer_methods_supported": ["header"],
        **({"scopes_supported": scopes} if scopes else {}),
    }
