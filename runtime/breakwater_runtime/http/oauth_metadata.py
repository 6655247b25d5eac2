"""Where OAuth clients learn who makes tokens for this server (RFC 9728); open to all."""

from collections.abc import Callable
from urllib.parse import urlsplit

import orjson
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from breakwater_contract.access import Access
from breakwater_contract.names import MCP_PATH
from breakwater_runtime.calls import Problem, Refused
from breakwater_runtime.http.challenges import METADATA


class OAuthMetadata:
    """Answers everything under the well-known path, and lets nothing of it further in."""

    def __init__(self, app: ASGIApp, *, settings: Callable[[], Access]) -> None:
        """Say what the settings of the moment say; without OAuth there is nothing here."""
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer at the root and at the path of the resource; pass other paths on."""
        path: str = scope["path"]
        if not path.startswith(METADATA):
            await self._app(scope, receive, send)
            return
        access = self._settings()
        if access.jwt is None or access.public_url is None:
            raise Refused(Problem.NOT_FOUND)
        resource = urlsplit(access.public_url).path.rstrip("/")
        if path.removeprefix(METADATA).rstrip("/") not in {"", resource, MCP_PATH}:
            raise Refused(Problem.NOT_FOUND)
        if scope["method"] not in {"GET", "HEAD"}:
            raise Refused(Problem.METHOD_NOT_ALLOWED, headers={"allow": "GET, HEAD"})
        body = orjson.dumps(document(access))
        await Response(body, media_type="application/json")(scope, receive, send)


def document(access: Access) -> dict[str, object]:
    """Make the metadata."""
    scopes = sorted(access.scopes_known)
    return {
        "resource": access.public_url,
        "authorization_servers": [access.jwt.issuer] if access.jwt else [],
        "bearer_methods_supported": ["header"],
        **({"scopes_supported": scopes} if scopes else {}),
    }
