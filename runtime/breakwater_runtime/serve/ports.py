"""The ports of one process: bound, and served."""

import asyncio
import logging
import socket
from dataclasses import dataclass

from breakwater_contract import metrics as catalogue
from breakwater_contract.limits import Limits
from breakwater_contract.settings import RuntimeSettings
from breakwater_runtime import app
from breakwater_runtime.app import Inside, Process
from breakwater_runtime.http import peer_tls
from breakwater_runtime.http.limits import WireLimits, is_near
from breakwater_runtime.http.server import Server, listen
from breakwater_runtime.http.tls import Certificates
from breakwater_runtime.management.drain import DrainTimes

logger = logging.getLogger(__name__)

MANAGEMENT_CONNECTIONS_MAX = 256

SESSIONS_STOP_SECONDS = 0.5
"""How long the streams of sessions that are ended by us have for their last bytes."""

MANAGEMENT_STOP_SECONDS = 1


@dataclass(frozen=True)
class Listeners:
    """The sockets of one process."""

    public: socket.socket
    management: socket.socket
    internal: socket.socket | None


def listeners(settings: RuntimeSettings) -> Listeners:
    """Bind the ports.

    Raises:
        StartError: One cannot be had.
    """
    ports, internal = settings.listen, None
    public = listen(ports.host, ports.public_port, "listen.publicPort")
    management = listen(ports.host, ports.management_port, "listen.managementPort")
    if settings.internal is not None:
        internal = listen(ports.host, ports.internal_port, "listen.internalPort")
    return Listeners(public, management, internal)


class _Port:
    """A server while it serves."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.task = asyncio.create_task(server.run_until_stopped())


class Ports:
    """The servers of one process; that of the management port serves at once."""

    def __init__(
        self,
        process: Process,
        listeners: Listeners,
        within: Inside,
        certificates: Certificates | None,
    ) -> None:
        self._process = process
        self._opened: list[_Port] = []
        self._servers = [self._public(listeners.public, within, certificates)]
        if listeners.internal is not None:
            self._servers.append(self._internal(listeners.internal))
        self._management = _Port(self._managing(listeners.management))

    def open(self) -> list[asyncio.Task[None]]:
        """Serve clients and peers; get what goes on until the end."""
        self._opened = [_Port(server) for server in self._servers]
        return [port.task for port in (self._management, *self._opened)]

    async def drain(self, times: DrainTimes) -> None:
        """Let those in front notice, then let calls finish and sessions end; streams end well."""
        drain, (public, *others) = self._process.drain, self._opened
        public.server.drain()
        logger.info("draining")
        await drain.stay_open(times.open_seconds)
        drain.end_streams()
        within = asyncio.get_running_loop().time() + times.seconds
        public.server.stop(within_seconds=times.seconds)
        await public.task
        for internal in others:
            await drain.sessions_over(max(0.0, within - asyncio.get_running_loop().time()))
            drain.end_sessions()
            internal.server.stop(within_seconds=SESSIONS_STOP_SECONDS)
            await internal.task
        logger.info("drained")

    async def stop(self) -> None:
        """Stop the last of them, which says until then how the others drain."""
        self._management.server.stop(within_seconds=MANAGEMENT_STOP_SECONDS)
        await self._management.task

    def _managing(self, listener: socket.socket) -> Server:
        process = self._process
        limits = WireLimits.of(Limits(connections=MANAGEMENT_CONNECTIONS_MAX))
        return Server(
            app.management(process),
            app.refusing(process),
            listener,
            limits=lambda: limits,
            wall=self._wall,
            count_cut=lambda _: None,
        )

    def _internal(self, listener: socket.socket) -> Server:
        process = self._process
        live = process.live
        return Server(
            app.internal(process),
            app.refusing(process),
            listener,
            limits=lambda: live.loaded.peer_wire,
            wall=self._wall,
            count_cut=lambda _: None,
            tls=peer_tls.listening(lambda: live.loaded.shared.tls),
        )

    def _public(
        self, listener: socket.socket, within: Inside, certificates: Certificates | None
    ) -> Server:
        process = self._process
        metrics, live = process.metrics, process.live
        cut = metrics.counter(catalogue.CUT)
        server = Server(
            app.public(process, within),
            app.refusing(process),
            listener,
            limits=lambda: live.loaded.wire,
            wall=self._wall,
            count_cut=lambda reason: cut.labels(reason).inc(),
            tls=certificates.context if certificates is not None else None,
            handshake_seconds=process.settings.tls.handshake.seconds if process.settings.tls else 0,
        )
        metrics.gauge(catalogue.CONNECTIONS).set_function(lambda: len(server.port.connections))
        metrics.gauge(catalogue.CONNECTIONS_LIMIT).set_function(
            lambda: live.loaded.wire.connections
        )
        metrics.gauge(catalogue.NEAR_LIMIT).labels("connections").set_function(
            lambda: is_near(len(server.port.connections), live.loaded.wire.connections)
        )
        metrics.gauge(catalogue.DRAINING).set_function(lambda: process.drain.begun)
        return server

    def _wall(self) -> float:
        return self._process.sources.now().timestamp()
