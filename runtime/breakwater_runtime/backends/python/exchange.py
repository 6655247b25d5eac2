"""One call as the SDK's kernel sees it: its dispatch context, over our channel."""

from collections.abc import Mapping
from typing import Any

import anyio
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types import ProgressToken, RequestId
from starlette.requests import Request

from breakwater_runtime.calls import Call, Channel, RpcError


class Outbound:
    """The SDK's way to a client, over one of ours."""

    def __init__(self, channel: Channel) -> None:
        """Send over `channel`."""
        self._channel = channel

    async def send_raw_request(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None
    ) -> dict[str, Any]:
        """Ask the client.

        Raises:
            MCPError: There is no way to it, or it answered with an error.
        """
        if not self._channel.can_ask:
            raise NoBackChannelError(method)
        timeout = (opts or {}).get("timeout")
        try:
            return await self._channel.ask(method, params, timeout)
        except RpcError as failure:
            raise MCPError(failure.code, failure.message, failure.data) from failure

    async def notify(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        opts: CallOptions | None = None,  # noqa: ARG002 - the SDK's signature
    ) -> None:
        """Send a notification."""
        await self._channel.notify(method, params)


class Exchange(Outbound):
    """The SDK's `DispatchContext` for one call."""

    def __init__(self, call: Call, *, is_request: bool = True) -> None:
        """Describe a call."""
        super().__init__(call.channel)
        self._call = call
        self.request_id: RequestId | None = call.id if is_request else None
        self.message_metadata = ServerMessageMetadata(
            request_context=Request(call.scope), close_sse_stream=call.channel.close_stream
        )

    @property
    def can_send_request(self) -> bool:
        """Whether the client can be asked."""
        return self._channel.can_ask

    @property
    def transport(self) -> TransportContext:
        """What the SDK wants to know of the way the call came."""
        request = self.message_metadata.request_context
        return TransportContext(
            kind="streamable-http", can_send_request=self.can_send_request, headers=request.headers
        )

    @property
    def cancel_requested(self) -> anyio.Event:
        """Never set: who is cancelled here is cancelled, not asked to stop."""
        return anyio.Event()

    async def progress(
        self, progress: float, total: float | None = None, message: str | None = None
    ) -> None:
        """Report progress, if the client asked for it."""
        token = progress_token(self._call.params)
        if token is None:
            return
        params: dict[str, Any] = {"progressToken": token, "progress": progress}
        if total is not None:
            params["total"] = total
        if message is not None:
            params["message"] = message
        await self._channel.notify("notifications/progress", params)


def progress_token(params: Mapping[str, Any] | None) -> ProgressToken | None:
    """Get the token that a client wants to see in reports of progress."""
    meta = params.get("_meta") if params is not None else None
    token = meta.get("progressToken") if isinstance(meta, dict) else None
    return token if type(token) in {str, int} else None
