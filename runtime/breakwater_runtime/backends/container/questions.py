"""What a server asks of a client in the middle of a call: whom it means, and whether it may."""

from collections.abc import Mapping
from typing import Any

from breakwater_contract.mcp import INVALID_REQUEST, METHOD_NOT_FOUND
from breakwater_runtime.backends.codec import eras
from breakwater_runtime.backends.codec.instance import Instance
from breakwater_runtime.calls import Call, Channel, RpcError

NEEDED = {
    "sampling/createMessage": "sampling",
    "elicitation/create": "elicitation",
    "roots/list": "roots",
}
"""What a server may ask, and the capability of a client that it needs."""

ANYBODY: Mapping[str, Any] = {
    "sampling": {},
    "elicitation": {"form": {}, "url": {}},
    "roots": {"listChanged": False},
}
"""What is said of the clients of an instance that several sessions of one principal may share."""


class Client:
    """A session of an older client, as a backend knows it."""

    def __init__(self, session_id: str, channel: Channel) -> None:
        """Know nothing of it but the way to it."""
        self.session_id = session_id
        self.channel = channel
        self.initialize: Mapping[str, Any] = {}

    def can(self, capability: str) -> bool:
        """Say whether the client said that it can do something."""
        capabilities = self.initialize.get("capabilities")
        return isinstance(capabilities, dict) and capability in capabilities


async def ask(
    instance: Instance,
    method: str,
    params: dict[str, Any] | None,
    call: Call | None,
    *,
    shared: bool,
) -> dict[str, Any]:
    """Ask the client whom a server means.

    Raises:
        RpcError: There is none, or it cannot be told which, or it refused.
    """
    capability = NEEDED.get(method)
    if capability is None:
        raise RpcError(METHOD_NOT_FOUND, f"No client answers {method!r} here")
    if shared:
        raise RpcError(
            INVALID_REQUEST,
            f"Cannot send {method!r}: this server is shared between callers, and nobody can tell "
            "whom it means",
        )
    call = call or _only_client(list(instance.calls.values()))
    if call is None:
        raise RpcError(
            INVALID_REQUEST, f"Cannot send {method!r}: no single client waits for an answer"
        )
    if eras.is_modern(call):
        raise RpcError(
            INVALID_REQUEST,
            f"Cannot send {method!r}: the client speaks {call.version}, which has no requests from "
            "servers",
        )
    known = getattr(call.peer, "client", call.peer)
    if not isinstance(known, Client) or not call.channel.can_ask:
        raise RpcError(INVALID_REQUEST, f"Cannot send {method!r}: the client has no session")
    if not known.can(capability):
        raise RpcError(METHOD_NOT_FOUND, f"The client has no capability {capability!r}")
    return await call.channel.ask(method, params, None)


def _only_client(calls: list[Call]) -> Call | None:
    """Find the newest call where all calls under way are of one session."""
    peers = {id(call.peer) for call in calls}
    return calls[-1] if len(peers) == 1 and calls[-1].peer is not None else None
