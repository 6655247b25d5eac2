"""Connections to the other pods of this server, kept open for the next request."""

import asyncio
import ssl
from collections.abc import Callable

from breakwater_runtime.calls import Problem, Refused
from breakwater_runtime.protocol.ticker import Ticker
from breakwater_runtime.protocol.upstream import Upstream

CONNECT_SECONDS = 1.0
"""How long a connection may take to come about, with its handshake."""

IDLE_SECONDS = 60.0
"""How long one is kept without a request: far shorter than the other side keeps it."""

IDLE_MAX = 64
"""How many are kept for each peer."""

AWAY_SECONDS = 15.0
"""After how long without any answer a peer counts as gone: the packets to a pod on a node that
died are refused by nobody."""

PAUSE_SECONDS = 0.5
"""How long nobody tries again to connect to a peer that has just not answered."""

HANDSHAKES_MAX = 16

RETRY_SECONDS = 1


class Peers:
    """Makes connections, and keeps them."""

    def __init__(self, tls: Callable[[], ssl.SSLContext | None], host: str, ticker: Ticker) -> None:
        """Connect by the TLS context of the moment to pods whose certificate is for `host`."""
        self._tls = tls
        self._host = host
        self._ticker = ticker
        self._idle: dict[str, list[Upstream]] = {}
        self._away_since: dict[str, float] = {}
        self._away_until: dict[str, float] = {}
        self._handshakes: dict[str, asyncio.Semaphore] = {}

    def idle(self, address: str) -> Upstream | None:
        """Get a connection that is open already; None: there is none."""
        kept = self._idle.get(address)
        while kept:
            upstream = kept.pop()
            if upstream.reusable:
                return upstream
        return None

    async def connect(self, address: str) -> Upstream:
        """Make a new connection.

        Raises:
            Refused: The peer is gone, or does not answer.
        """
        host, _, port = address.rpartition(":")
        async with self._turns(address):
            # Who waited behind those that got no answer need not try the same.
            if asyncio.get_running_loop().time() < self._away_until.get(address, 0.0):
                raise self.late(address)
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await self._connect(address, host.strip("[]"), int(port))
            except TimeoutError as error:
                self._away_until[address] = asyncio.get_running_loop().time() + PAUSE_SECONDS
                raise self.late(address) from error
            except (OSError, ValueError) as error:
                # Refused, no such host, or somebody else's certificate: the pod is gone.
                self._away_since.pop(address, None)
                raise Refused(Problem.SESSION_NOT_FOUND) from error

    async def _connect(self, address: str, host: str, port: int) -> Upstream:
        context = self._tls()
        if context is None:
            raise Refused(Problem.SESSION_NOT_FOUND)
        _, upstream = await asyncio.get_running_loop().create_connection(
            lambda: Upstream(lambda lost: self._lost(address, lost)),
            host,
            port,
            ssl=context,
            server_hostname=self._host,
        )
        return upstream

    def _turns(self, address: str) -> asyncio.Semaphore:
        """Get what lets so many handshakes with one peer go on at once: more make each too slow."""
        turns = self._handshakes.get(address)
        if turns is None:
            turns = self._handshakes[address] = asyncio.Semaphore(HANDSHAKES_MAX)
        return turns

    def late(self, address: str) -> Refused:
        """Say what a client is told of a peer that does not answer."""
        now = asyncio.get_running_loop().time()
        since = self._away_since.setdefault(address, now)
        if now - since >= AWAY_SECONDS:
            return Refused(Problem.SESSION_NOT_FOUND)
        return Refused(Problem.OWNER_UNREACHABLE, retry_after=RETRY_SECONDS)

    def release(self, address: str, upstream: Upstream) -> None:
        """Keep a connection for the next request, if it may carry another."""
        if upstream.complete:
            self._away_since.pop(address, None)
        kept = self._idle.setdefault(address, [])
        if not upstream.reusable or len(kept) >= IDLE_MAX:
            upstream.abort()
            return
        upstream.idle_since = asyncio.get_running_loop().time()
        kept.append(upstream)
        self._ticker.add(self)

    def _lost(self, address: str, upstream: Upstream) -> None:
        kept = self._idle.get(address)
        if kept and upstream in kept:
            kept.remove(upstream)

    def tick(self, now: float) -> None:
        """Close what has not been used for long."""
        for address, kept in list(self._idle.items()):
            for upstream in [each for each in kept if now - each.idle_since >= IDLE_SECONDS]:
                kept.remove(upstream)
                upstream.abort()
            if not kept:
                del self._idle[address]
        for address, since in list(self._away_since.items()):
            if now - since >= 4 * AWAY_SECONDS:
                del self._away_since[address]
                self._away_until.pop(address, None)
                self._handshakes.pop(address, None)
        if not self._idle:
            self._ticker.discard(self)

    def close(self) -> None:
        """Close all that are idle."""
        for kept in self._idle.values():
            for upstream in list(kept):
                upstream.abort()
        self._idle.clear()
