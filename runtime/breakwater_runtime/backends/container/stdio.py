"""Instances that are children of a helper, each with its own standard streams."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from breakwater_contract.backends import ContainerBackend as Settings
from breakwater_contract.backends import Reason
from breakwater_contract.units import Duration
from breakwater_runtime.backends.backend import Finding
from breakwater_runtime.backends.codec.conversation import Conversation
from breakwater_runtime.backends.codec.greeting import GreetingError, greet
from breakwater_runtime.backends.codec.instance import Instance, Sinks
from breakwater_runtime.backends.container.helper import Helper, HelperError
from breakwater_runtime.backends.container.pipes import Pipes, converse
from breakwater_runtime.backends.container.transport import OpeningError, Transport
from breakwater_runtime.backends.container.turns import Turns
from breakwater_runtime.calls import RpcError


class StdioTransport(Transport):
    """Opens children."""

    def __init__(self, backend: str, settings: Settings, socket: str, user: int | None) -> None:
        """Have children started by the helper at `socket`."""
        self._backend = backend
        self._settings = settings
        self._helper = Helper(socket, user)
        self._turns = Turns()

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

    async def prepare(self, sinks: Sinks) -> "StartedChild":
        """Start a child, and say nothing to it.

        Raises:
            OpeningError: It cannot be started.
        """
        start = self._settings.start
        try:
            async with asyncio.timeout(start.seconds):
                conversation, pipes = await converse(
                    self._helper,
                    self._backend,
                    sinks,
                    message_bytes=self._settings.message.bytes,
                    timeout_seconds=self._settings.call.seconds,
                    turns=self._turns,
                )
        except HelperError as error:
            raise OpeningError(str(error)) from error
        except TimeoutError as error:
            raise OpeningError(f"it was not started in {start}") from error
        return StartedChild(conversation, pipes, start)

    async def open(
        self, sinks: Sinks, *, modern: bool | None, initialize: Mapping[str, Any]
    ) -> Instance:
        """Start a child and greet it; one that dies of a greeting it does not know gets another.

        Raises:
            OpeningError: It cannot be started, ends, or says nothing in time.
            GreetingError: It does not speak MCP in this era.
        """
        child = await self.prepare(sinks)
        try:
            return await child.greet(modern=modern, initialize=initialize)
        except OpeningError:
            if modern is not None:
                raise
        child = await self.prepare(sinks)
        return await child.greet(modern=False, initialize=initialize)


class StartedChild:
    """A child to which nothing has been said."""

    def __init__(self, conversation: Conversation, pipes: Pipes, start: Duration) -> None:
        """Let it take as long as `start` to answer a greeting."""
        self._conversation = conversation
        self._pipes = pipes
        self._start = start

    @property
    def lost(self) -> str | None:
        """Why it is no longer there; None: it is."""
        return self._conversation.lost

    async def wait_lost(self) -> str:
        """Wait until it is gone, and say why."""
        return await self._conversation.wait_lost()

    def close(self) -> None:
        """Stop it."""
        self._conversation.close()

    async def greet(self, *, modern: bool | None, initialize: Mapping[str, Any]) -> Instance:
        """Greet it.

        Raises:
            OpeningError: It ends, or says nothing in time.
            GreetingError: It does not speak MCP in this era.
        """
        conversation = self._conversation
        try:
            async with asyncio.timeout(self._start.seconds):
                conversation.about = await greet(
                    conversation.request, conversation.notify, modern=modern, initialize=initialize
                )
        except TimeoutError as error:
            self._pipes.end("it said nothing in time")
            raise OpeningError(f"it said nothing in {self._start}") from error
        except RpcError as error:
            raise OpeningError(str(self._pipes.ending or error.message)) from error
        except (GreetingError, asyncio.CancelledError):
            conversation.close()
            raise
        return conversation
