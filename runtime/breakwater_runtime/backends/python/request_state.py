"""What a modern client carries from one round of a request to the next, sealed for every replica.

The SDK seals it by a key of its process alone: the next round would have to come to the same pod.
"""

from collections.abc import Callable
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp.server.request_state import (
    AESGCMRequestStateCodec,
    InvalidRequestState,
    RequestStateBoundary,
    RequestStateSecurity,
    authenticated_principal,
)

from breakwater_runtime.calls import Request
from breakwater_runtime.sealing import Purpose, Ring, SealError


class RingCodec:
    """Seals by the ring that all replicas have."""

    def __init__(self, ring: Callable[[], Ring]) -> None:
        """Seal with the ring of the moment."""
        self._ring = ring

    def seal(self, payload: bytes) -> str:
        """Make a token of a round's state."""
        return self._ring().seal(Purpose.STATE, payload)

    def unseal(self, token: str) -> bytes:
        """Get the state of a token.

        Raises:
            InvalidRequestState: It is none of ours.
        """
        try:
            return self._ring().open(Purpose.STATE, token)
        except SealError as error:
            raise InvalidRequestState("not sealed by this server") from error


def share(mcp: MCPServer, ring: Callable[[], Ring]) -> None:
    """Have a server's states sealed by the ring, for the principal that asks.

    A codec, or a way to tell principals, that the server brings itself stays.
    """
    for boundary in mcp._lowlevel_server.middleware:
        if isinstance(boundary, RequestStateBoundary):
            boundary._security = _shared(boundary._security, ring)


def _shared(own: RequestStateSecurity, ring: Callable[[], Ring]) -> RequestStateSecurity:
    is_theirs = not isinstance(own.codec, AESGCMRequestStateCodec)
    is_default = own.bind_principal is authenticated_principal
    return RequestStateSecurity(
        codec=own.codec if is_theirs else RingCodec(ring),
        ttl=own.ttl,
        bind_principal=_principal if is_default else own.bind_principal,
        audience=own.audience,
    )


def _principal(context: ServerRequestContext[Any, Any]) -> str | None:
    """Say who asks; None where the transport has one client only."""
    scope = getattr(context.request, "scope", None)
    request = None if scope is None else Request.find(scope)
    return None if request is None or request.principal is None else request.principal.name
