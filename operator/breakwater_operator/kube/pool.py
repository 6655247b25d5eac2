"""Connections that are used again."""

import asyncio

from breakwater_operator.kube.stream import Stream, WireError
from breakwater_operator.kube.wire import Address, Answer, Wire, lines, request

CONNECT_SECONDS = 5.0


class Pool:
    """Carries requests to one server over as few connections as possible."""

    def __init__(self, address: Address, at_once_max: int) -> None:
        """Open nothing yet.

        Args:
            address: The server.
            at_once_max: Requests at the same time, streams left out; more wait for their turn.
        """
        self._address = address
        self._idle: list[Wire] = []
        self._all: set[Wire] = set()
        self._turns = asyncio.Semaphore(at_once_max)

    async def ask(self, message: bytes, seconds: float, *, is_safe: bool) -> Answer:
        """Send a request and wait for the whole answer.

        Args:
            message: The request.
            seconds: How long that may take.
            is_safe: Whether it may be sent a second time, where a connection turns out to be closed
                that had been idle.

        Raises:
            OSError: It failed; nobody knows whether the request was carried out.
            TimeoutError: There was no answer in time.
        """
        async with self._turns:
            wire = await self._wire()
            was_used = wire.is_used
            try:
                return await wire.ask(message, seconds)
            except WireError:
                if not (is_safe and was_used):
                    raise
            return await (await self._connect()).ask(message, seconds)

    async def open(self, message: bytes, seconds: float) -> tuple[Answer, Stream]:
        """Send a request whose answer is read line by line, on a connection of its own."""
        return await (await self._connect()).open(message, seconds)

    async def close(self) -> None:
        """Close all connections."""
        for wire in self._all:
            wire.close()
        self._all.clear()
        self._idle.clear()
        # The event loop closes transports one turn later.
        await asyncio.sleep(0)

    async def _wire(self) -> Wire:
        while self._idle:
            wire = self._idle.pop()
            if wire.is_open:
                return wire
        return await self._connect()

    async def _connect(self) -> Wire:
        self._all = {wire for wire in self._all if wire.is_open}
        async with asyncio.timeout(CONNECT_SECONDS):
            wire = await connect(self._address, Wire(self._idle.append))
        self._all.add(wire)
        return wire


async def connect(address: Address, wire: Wire) -> Wire:
    """Connect to a server, through a proxy where there is one.

    Raises:
        OSError: Nobody answers, or it is not who it should be.
    """
    loop = asyncio.get_running_loop()
    tls, name = address.tls, (address.name or address.host) if address.tls else None
    if address.proxy is None:
        await loop.create_connection(
            lambda: wire, address.host, address.port, ssl=tls, server_hostname=name
        )
        return wire
    between = Wire(lambda _: None)
    transport, _ = await loop.create_connection(lambda: between, *address.proxy)
    where = f"{address.host}:{address.port}"
    # What follows the head of a good answer is the server's, not the proxy's.
    answer, _ = await between.open(
        request("CONNECT", where, lines([("Host", where)]), None), CONNECT_SECONDS
    )
    if answer.status != 200:
        transport.abort()
        raise WireError(f"the proxy answered {answer.status}")
    if tls is None:
        transport.set_protocol(wire)
        wire.connection_made(transport)
        return wire
    secured = await loop.start_tls(transport, wire, tls, server_hostname=name)
    if secured is not None:
        wire.connection_made(secured)
    return wire
