"""Has requests without a session answered by the home of their principal."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from breakwater_contract.names import MCP_PATH, RPC_PATH
from breakwater_runtime.calls import Problem, Refused, Request
from breakwater_runtime.protocol.forwarding import Forwarder
from breakwater_runtime.protocol.homes import Homes

SESSION_HEADER = b"mcp-session-id"
PATHS = frozenset({MCP_PATH, RPC_PATH})
"""Of the other endpoints, `/mcp/sse` is a session by itself, and those for plain HTTP keep nothing
between two requests."""

LINES = b"ndjson"
"""In `Accept`: an answer whose lines are passed on one by one, which peers do not do."""


class AtHome:
    """In front of all endpoints of the public port."""

    def __init__(self, endpoints: ASGIApp, homes: Homes, forwarder: Forwarder) -> None:
        """Answer by `endpoints` what is at home here, and what no other pod takes."""
        self._endpoints = endpoints
        self._homes = homes
        self._forwarder = forwarder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request.of(scope)
        if not _may_move(scope, request) or request.principal is None:
            await self._endpoints(scope, receive, send)
            return
        home = self._homes.of(request.principal.name)
        if home is None:
            await self._endpoints(scope, receive, send)
            return
        kept = Kept(receive)
        try:
            await self._forwarder.forward(home, scope, kept.receive, send)
        except Refused as refusal:
            if refusal.problem is Problem.SHUTTING_DOWN:  # it may have been done
                raise
            self._homes.lost(home)
            await self._endpoints(scope, kept.again(), send)


def _may_move(scope: Scope, request: Request) -> bool:
    headers = request.headers
    return (
        scope["method"] == "POST"
        and scope["path"] in PATHS
        and SESSION_HEADER not in headers
        and LINES not in headers.get(b"accept", b"")
    )


class Kept:
    """A body that can be received once more."""

    def __init__(self, receive: Receive) -> None:
        """Keep what is received through this."""
        self._receive = receive
        self._parts: list[Message] = []

    async def receive(self) -> Message:
        """Receive the next part."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._parts.append(message)
        return message

    def again(self) -> Receive:
        """Receive the same parts, and then what still comes."""
        parts = self._parts[::-1]

        async def receive() -> Message:
            return parts.pop() if parts else await self._receive()

        return receive
