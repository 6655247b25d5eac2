"""Another MCP server, asked over sessions that callers share or have for themselves."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from breakwater_contract.backends import ContainerBackend as Settings
from breakwater_contract.backends import Reason
from breakwater_contract.mcp import METHOD_NOT_FOUND, MODERN_PROTOCOL_VERSIONS, SERVER_INFO_META_KEY
from breakwater_runtime.backends.backend import Finding
from breakwater_runtime.backends.codec import eras
from breakwater_runtime.backends.codec.greeting import INITIALIZE, GreetingError
from breakwater_runtime.backends.codec.instance import unavailable
from breakwater_runtime.backends.container.backend import TOOLS_CALL, ContainerBackend
from breakwater_runtime.backends.container.transport import OpeningError, Transport
from breakwater_runtime.backends.encoding import dumps
from breakwater_runtime.backends.remote import modern
from breakwater_runtime.calls import Call, RpcError

logger = logging.getLogger(__name__)

TOOLS_LIST = "tools/list"

LIST_SECONDS = 30.0
"""How old a list of tools may be that callers are told; a server that says that its list changed is
asked at once."""


class RemoteBackend(ContainerBackend):
    """Serves a server that runs somewhere else."""

    def __init__(
        self, name: str, settings: Settings, transport: Transport, *, lists_by_caller: bool
    ) -> None:
        """Serve it; `lists_by_caller` says that each caller may see other tools."""
        super().__init__(name, settings, transport)
        self._lists_by_caller = lists_by_caller
        self._only_modern = False
        self._listed: dict[bool, tuple[Mapping[str, Any], bytes]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep it going, and its list of tools fresh."""
        async with super().running():
            self._spawn(self._refresh())
            yield

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(LIST_SECONDS)
            instance = self._pool.ready(("", "", self._description.era))
            if instance is not None and self.fault is None:
                await self._describe_again(instance)

    def _found(self, error: Exception) -> None:
        if isinstance(error, GreetingError):
            super()._found(error)
            return
        cause = error.__cause__ if isinstance(error.__cause__, OpeningError) else error
        said = getattr(cause, "message", str(cause))
        self._finding = Finding(Reason.UNREACHABLE, f"it cannot be asked: {said}")

    async def answer(self, call: Call) -> bytes:
        """Answer a request; lists of tools from memory.

        Raises:
            RpcError: There is no result.
        """
        params = call.params or {}
        if call.method != TOOLS_LIST or self._lists_by_caller or params.keys() - {"_meta"}:
            return await self._answer(call)
        about = await self._known()
        if "tools" not in about.capabilities:
            return await self._answer(call)
        if self.fault is not None:
            raise unavailable(self.name, f"Backend {self.name} is away.", retryable=True)
        is_modern = call.version in MODERN_PROTOCOL_VERSIONS
        tools = self._description.tools
        known, listed = self._listed.get(is_modern, (None, b""))
        if known is not tools:
            listed = dumps(_list(tools, about.server_info, is_modern=is_modern))
            self._listed[is_modern] = (tools, listed)
        return listed

    async def _answer(self, call: Call) -> bytes:
        if call.version in MODERN_PROTOCOL_VERSIONS:
            return await super().answer(call)
        if self._only_modern:
            return await self._answer_older(call)
        try:
            return await super().answer(call)
        except RpcError as error:
            if not isinstance(error.__cause__, GreetingError):
                raise
        self._only_modern = True
        return await self._answer_older(call)

    async def _answer_older(self, call: Call) -> bytes:
        """Answer an older client by a server that only speaks to today's."""
        if call.method in modern.NOTHING_TO_DO:
            return b"{}"
        if call.method == INITIALIZE:
            return modern.initialized(await self._known(), call.params)
        if call.method in eras.REMOVED:
            raise RpcError(METHOD_NOT_FOUND, "Method not found", call.method)
        instance = self._pool.ready(self._key(call, modern=True)) or await self._get(
            call, modern=True
        )
        result = await instance.request(call.method, modern.params(call.params), call)
        if call.method == TOOLS_CALL and result.content.get("isError"):
            call.outcome = "caller_error"
        return modern.result(result)


def _list(
    tools: Mapping[str, Any], server_info: Mapping[str, Any], *, is_modern: bool
) -> dict[str, Any]:
    content: dict[str, Any] = {"tools": [*tools.values()]}
    if is_modern:
        content |= {
            "resultType": "complete",
            "ttlMs": int(LIST_SECONDS * 1000),
            "cacheScope": "public",
            "_meta": {SERVER_INFO_META_KEY: server_info},
        }
    return content
