"""Connections to the other pods of this server, kept open for the next request."""

import asyncio
import ssl
from collections.abc import Callable

from breakwater_runtime.calls import Problem, Refused
from breakwater_runtime.protocol.patience import Heard, Patience
from breakwater_runtime.protocol.ticker import Ticker
from breakwater_runtime.protocol.upstream import Upstream

IDLE_SECONDS = 60.0
"""How long one is kept without a request: far shorter than the other side keeps it."""

IDLE_MAX = 64
"""How many are kept for each peer."""

AWAY_SECONDS = 15.0
"""After how long without any answer a peer counts as gone: the packets to a pod on a node that
died are refused by nobody."""

HANDSHAKES_MAX = 4
"""How many handshakes with one peer go on at once: in a crowd none would be done in time, and
nothing would be heard of a peer that is only busy."""

RETRY_SECONDS = 1


class _Peer:
    """What is known of one pod."""

    __slots__ = ("away_since", "handshakes", "heard", "idle", "late_at", "used_at")

    def __init__(self) -> None:
        self.idle: list[Upstream] = []
        self.away_since: float | None = None
        """Since when it has answered nothing."""
        self.heard = Heard()
        self.late_at = 0.0
        """When it last did not answer a connection."""
        self.used_at = 0.0
        self.handshakes = asyncio.Semaphore(HANDSHAKES_MAX)


class Peers:
    """Makes connections, and keeps them."""

    def __init__(self, tls: Callable[[], ssl.SSLContext | None], host: str, ticker: Ticker) -> None:
        """Connect by the TLS context of the moment to pods whose certificate is for `host`."""
        self._tls = tls
        self._host = host
        self._ticker = ticker
        self._peers: dict[str, _Peer] = {}

    def _at(self, address: str) -> _Peer:
        peer = self._peers.get(address)
        if peer is None:
            peer = self._peers[address] = _Peer()
            self._ticker.add(self)
        peer.used_at = asyncio.get_running_loop().time()
        return peer

    def idle(self, address: str) -> Upstream | None:
        """Get a connection that is open already; None: there is none."""
        idle = self._at(address).idle
        while idle:
            upstream = idle.pop()
            if upstream.reusable:
                return upstream
        return None

    async def connect(self, address: str) -> Upstream:
        """Make a new connection.

        Raises:
            Refused: The peer is gone, or does not answer.
        """
        peer = self._at(address)
        came = peer.used_at
        async with peer.handshakes:
            if peer.late_at > came:
                # Somebody in front found out meanwhile.
                raise self.late(address)
            try:
                async with asyncio.timeout(None) as bound:
                    patience = Patience(peer.heard, lambda: bound.reschedule(0))
                    try:
                        return await self._connect(peer, address)
                    finally:
                        patience.end()
            except TimeoutError as late:
                peer.late_at = asyncio.get_running_loop().time()
                raise self.late(address) from late
            except (OSError, ValueError) as error:
                # Refused, no such host, or somebody else's certificate: the pod is gone.
                peer.away_since = None
                raise Refused(Problem.SESSION_NOT_FOUND) from error

    async def _connect(self, peer: _Peer, address: str) -> Upstream:
        context = self._tls()
        if context is None:
            raise Refused(Problem.SESSION_NOT_FOUND)
        host, _, port = address.rpartition(":")
        _, upstream = await asyncio.get_running_loop().create_connection(
            lambda: Upstream(peer.heard, lambda lost: self._lost(address, lost)),
            host.strip("[]"),
            int(port),
            ssl=context,
            server_hostname=self._host,
        )
        return upstream

    def late(self, address: str) -> Refused:
        """Say what a client is told of a peer that does not answer."""
        peer = self._at(address)
        if peer.away_since is None or peer.away_since < peer.heard.at:
            peer.away_since = peer.used_at
        if peer.used_at - peer.away_since >= AWAY_SECONDS:
            return Refused(Problem.SESSION_NOT_FOUND)
        return Refused(Problem.OWNER_UNREACHABLE, retry_after=RETRY_SECONDS)

    def release(self, address: str, upstream: Upstream) -> None:
        """Keep a connection for the next request, if it may carry another."""
        peer = self._peers.get(address)
        if peer is None or not upstream.reusable or len(peer.idle) >= IDLE_MAX:
            upstream.abort()
            return
        peer.used_at = upstream.idle_since = asyncio.get_running_loop().time()
        peer.idle.append(upstream)

    def _lost(self, address: str, upstream: Upstream) -> None:
        peer = self._peers.get(address)
        if peer is not None and upstream in peer.idle:
            peer.idle.remove(upstream)

    def tick(self, now: float) -> None:
        """Close what has not been used for long, and forget pods that nobody asked for as long."""
        for address, peer in list(self._peers.items()):
            for upstream in [each for each in peer.idle if now - each.idle_since >= IDLE_SECONDS]:
                peer.idle.remove(upstream)
                upstream.abort()
            if not peer.idle and now - peer.used_at >= IDLE_SECONDS:
                del self._peers[address]
        if not self._peers:
            self._ticker.discard(self)

    def close(self) -> None:
        """Close all that are idle."""
        for peer in self._peers.values():
            for upstream in list(peer.idle):
                upstream.abort()
        self._peers.clear()
