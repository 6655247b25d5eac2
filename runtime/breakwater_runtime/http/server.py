"""The HTTP server: one app on one socket, until told to stop.

Nothing of uvicorn is left in it but what it taught: signals, environment and workers are none of a
server's business, and its protocol class has few limits (see `connection`).
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from starlette.types import ASGIApp

from breakwater_runtime.calls import StartError
from breakwater_runtime.http.connection import Connection
from breakwater_runtime.http.limits import WireLimits
from breakwater_runtime.http.port import CountCut, Port, Refusing

BACKLOG = 2048

TICK_SECONDS = 1.0
"""How often the Date header is renewed, and deadlines are looked at."""

CUT_SECONDS = 1.0
"""How long what is cut at the end of a drain may take to say so to its client."""

ALL_ADDRESSES = "::"
ALL_ADDRESSES_OF_IPV4 = "0.0.0.0"  # noqa: S104 (for :: where there is no IPv6)

LOST_SECONDS = 60
"""After how long without a sign of life from its network a client counts as gone."""


class Server:
    """Serves one ASGI app on one socket until told to stop."""

    def __init__(
        self,
        app: ASGIApp,
        refusing: Refusing,
        listener: socket.socket,
        *,
        limits: Callable[[], WireLimits],
        wall: Callable[[], float],
        count_cut: CountCut,
        tls: ssl.SSLContext | None = None,
        handshake_seconds: float = 10.0,
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        """Serve on `listener`; `wall` tells the time of day."""
        self.port = Port(app, refusing, limits=limits, count_cut=count_cut)
        self._listener = listener
        self._wall = wall
        self._tls = tls
        self._handshake_seconds = handshake_seconds
        self._tick_seconds = tick_seconds
        self._stopping = asyncio.Event()
        self._within_seconds = 0.0

    async def run_until_stopped(self) -> None:
        """Serve; return when every connection has ended after `stop`."""
        port = self.port
        port.tick(self._wall())
        ticking = asyncio.create_task(self._tick())
        accepting = await asyncio.get_running_loop().create_server(
            lambda: Connection(port),
            sock=self._listener,
            backlog=BACKLOG,
            ssl=self._tls,
            ssl_handshake_timeout=None if self._tls is None else self._handshake_seconds,
        )
        try:
            stopping = asyncio.create_task(self._stopping.wait())
            await asyncio.wait({stopping, ticking}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            accepting.close()
            await self._end()
        finally:
            ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticking

    def drain(self) -> None:
        """Ask every client to come back over another connection, while all are still served."""
        self.port.draining = True

    def stop(self, *, within_seconds: float) -> None:
        """Take no more connections, and cut what has not ended in time."""
        self._within_seconds = within_seconds
        self.drain()
        self._stopping.set()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._tick_seconds)
            self.port.tick(self._wall())

    async def _end(self) -> None:
        """Let answers finish, then cut them, then close what is left."""
        port = self.port
        for connection in list(port.connections):
            connection.retire()
        await self._until_quiet(self._within_seconds)
        for task in list(port.tasks.values()):
            port.count_cut("drain")
            task.cancel()
        await self._until_quiet(CUT_SECONDS / 2)
        port.forget_tasks()  # a tool in a thread cannot be made to end
        for connection in list(port.connections):
            connection.cut()
        await self._until_quiet(CUT_SECONDS / 2)
        for connection in list(port.connections):
            connection.abort()

    async def _until_quiet(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.port.quiet()


def listen(host: str, port: int, where: str) -> socket.socket:
    """Bind a socket; connections are refused until a server serves it.

    All addresses, `::`, are those of IPv4 too, and on a machine without IPv6 only those.

    Raises:
        StartError: The address cannot be had.
    """
    is_every = host == ALL_ADDRESSES
    if is_every and not socket.has_dualstack_ipv6():
        host = ALL_ADDRESSES_OF_IPV4
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not is_every))
    _notice_lost_clients(listener)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise StartError(f"{where}: {host} port {port}: {error.strerror or error}") from error
    listener.setblocking(False)
    return listener


def _notice_lost_clients(listener: socket.socket) -> None:
    """Let the kernel end connections whose other side is gone; each accepted one inherits it."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in {
        "TCP_KEEPIDLE": LOST_SECONDS // 2,
        "TCP_KEEPINTVL": LOST_SECONDS // 4,
        "TCP_KEEPCNT": 2,
        # In milliseconds; also for bytes that nobody acknowledges or takes.
        "TCP_USER_TIMEOUT": LOST_SECONDS * 1000,
    }.items():
        if hasattr(socket, option):  # Linux has all of them
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
