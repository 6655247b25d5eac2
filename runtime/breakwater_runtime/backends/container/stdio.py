"""Instances that are children of a helper, each with its own standard streams."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from breakwater_contract.backends import ContainerBackend as Settings
from breakwater_contract.backends import Reason
from breakwater_runtime.backends.backend import Finding
from breakwater_runtime.backends.codec.greeting import GreetingError, greet
from breakwater_runtime.backends.codec.instance import Instance, Sinks
from breakwater_runtime.backends.container.helper import Helper, HelperError
from breakwater_runtime.backends.container.pipes import converse
from breakwater_runtime.backends.container.pool import OpeningError
from breakwater_runtime.backends.container.transport import Transport
from breakwater_runtime.calls import RpcError


class StdioTransport(Transport):
    """Opens children."""

    def __init__(self, backend: str, settings: Settings, socket: str, user: int | None) -> None:
        """Have children started by the helper at `socket`."""
        self._backend = backend
        self._settings = settings
        self._helper = Helper(socket, user)

    async def run(self) -> None:
        """Stay connected to the helper."""
        await self._helper.run()

    async def reachable(self) -> None:
        """Wait for the helper."""
        await self._helper.connected()

    @property
    def findings(self) -> Sequence[Finding]:
        """Say where there is no helper."""
        fault = self._helper.fault
        return (Finding(Reason.UNREACHABLE, fault),) if fault is not None else ()

    async def open(
        self, sinks: Sinks, *, modern: bool | None, initialize: Mapping[str, Any]
    ) -> Instance:
        """Start a child and greet it; one that dies of a greeting it does not know gets another.

        Raises:
            OpeningError: It cannot be started, ends, or says nothing in time.
            GreetingError: It does not speak MCP in this era.
        """
        try:
            return await self._open(sinks, modern=modern, initialize=initialize)
        except OpeningError:
            if modern is not None:
                raise
            return await self._open(sinks, modern=False, initialize=initialize)

    async def _open(
        self, sinks: Sinks, *, modern: bool | None, initialize: Mapping[str, Any]
    ) -> Instance:
        try:
            async with asyncio.timeout(self._settings.start.seconds):
                return await self._greeted(sinks, modern=modern, initialize=initialize)
        except TimeoutError as error:
            raise OpeningError(f"it said nothing in {self._settings.start}") from error

    async def _greeted(
        self, sinks: Sinks, *, modern: bool | None, initialize: Mapping[str, Any]
    ) -> Instance:
        try:
            conversation, pipes = await converse(
                self._helper,
                self._backend,
                sinks,
                message_bytes=self._settings.message.bytes,
                timeout_seconds=self._settings.call.seconds,
            )
        except HelperError as error:
            raise OpeningError(str(error)) from error
        try:
            conversation.about = await greet(
                conversation.request, conversation.notify, modern=modern, initialize=initialize
            )
        except RpcError as error:
            raise OpeningError(str(pipes.ending or error.message)) from error
        except (GreetingError, asyncio.CancelledError):
            conversation.close()
            raise
        return conversation
