"""How instances of a server are opened: anew, or ahead of whom they are for."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from breakwater_runtime.backends.codec.instance import Instance, Sinks
from breakwater_runtime.backends.container import questions
from breakwater_runtime.backends.container.description import Description
from breakwater_runtime.backends.container.pool import Key
from breakwater_runtime.backends.container.spares import Spare, Spares
from breakwater_runtime.backends.container.transport import OpeningError, Transport
from breakwater_runtime.calls import RpcError

Greeting = Mapping[str, Any]
"""What a client said when it began its session."""


class Opening:
    """Opens them over a transport."""

    def __init__(
        self,
        transport: Transport,
        sinks: Sinks,
        description: Description,
        greeting: Callable[[str], Greeting],
        *,
        per_principal: bool,
    ) -> None:
        """Open none yet.

        Args:
            transport: How they come to be.
            sinks: Where goes what they say by themselves.
            description: What is known of their server.
            greeting: Tells what the client of a session said.
            per_principal: Whether sessions of a principal share one.
        """
        self._transport = transport
        self._sinks = sinks
        self._description = description
        self._greeting = greeting
        self._per_principal = per_principal
        self._wanted_era = False

    async def open(self, key: Key, spares: Spares) -> Instance:
        """Open one, or take one of `spares`.

        Raises:
            OpeningError: It cannot be opened.
            GreetingError: It does not speak MCP in this era.
            RpcError: It went away meanwhile.
        """
        kind, name, modern = key
        initialize: dict[str, Any] = {}
        if kind == "principal":
            initialize["capabilities"] = questions.ANYBODY
        elif kind == "session":
            initialize |= self._greeting(name)
        if kind and (spare := self._take(spares, modern=bool(modern))) is not None:
            with suppress(OpeningError, RpcError):  # it ended: then another one is started
                return await _greeted(spare, modern, initialize)
        return await self._transport.open(self._sinks, modern=modern, initialize=initialize)

    async def ahead(self) -> Spare:
        """Start one for nobody yet.

        Raises:
            OpeningError: It cannot be started.
            GreetingError: It does not speak MCP.
            RpcError: It went away meanwhile.
        """
        prepared = await self._transport.prepare(self._sinks)
        modern = self._wanted_era and bool(self._description.era)
        if not self._is_greeted_ahead(modern=modern):
            return Spare(prepared, None)
        initialize = {} if modern else {"capabilities": questions.ANYBODY}
        return Spare(prepared, await prepared.greet(modern=modern, initialize=initialize))

    def _is_greeted_ahead(self, *, modern: bool) -> bool:
        """Say whether all are greeted in one way: in an older session it is the client's own."""
        return modern or self._per_principal

    def _take(self, spares: Spares, *, modern: bool) -> Spare | None:
        self._wanted_era = modern
        return spares.take(modern=modern, greeted=self._is_greeted_ahead(modern=modern))


async def _greeted(spare: Spare, modern: bool | None, initialize: Greeting) -> Instance:
    instance = spare.instance
    if instance is None:
        return await spare.prepared.greet(modern=modern, initialize=initialize)
    instance.last_used = asyncio.get_running_loop().time()
    return instance
