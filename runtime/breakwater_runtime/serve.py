"""From settings to two ports that serve, and out again in order."""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn

import uvloop

from breakwater_contract import metrics as catalogue
from breakwater_contract import process_metrics, telemetry_metrics
from breakwater_contract.backends import Backend as BackendSettings
from breakwater_contract.gateway import Tools
from breakwater_contract.limits import Limits
from breakwater_contract.names import DRAIN_OPEN_SECONDS
from breakwater_contract.settings import RuntimeSettings
from breakwater_runtime import app
from breakwater_runtime.app import Inside, Process
from breakwater_runtime.backends import container as containers
from breakwater_runtime.backends import remote as remotes
from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.calls import Sources, StartError
from breakwater_runtime.http import peer_tls
from breakwater_runtime.http.in_flight import Places
from breakwater_runtime.http.limits import WireLimits, is_near, raise_file_limit
from breakwater_runtime.http.server import Server, listen
from breakwater_runtime.http.shared_buckets import Rates
from breakwater_runtime.http.tls import Certificates
from breakwater_runtime.live import Live, Loaded, Source
from breakwater_runtime.management.drain import Drain, DrainTimes
from breakwater_runtime.management.health import Check, Health
from breakwater_runtime.observability import logs
from breakwater_runtime.observability import process as own_process
from breakwater_runtime.observability.loop import LoopWatch
from breakwater_runtime.observability.metrics import Metrics
from breakwater_runtime.observability.telemetry import Importing, Service, Telemetry
from breakwater_runtime.protocol.session_ids import Pod
from breakwater_runtime.protocol.standard_streams import StandardStreams
from breakwater_runtime.protocol.stdio import LocalClient
from breakwater_runtime.resilience.answer_room import AnswerRoom
from breakwater_runtime.settings import NOTHING_GIVEN, Given, SettingsError
from breakwater_runtime.tools.shaped import Shaped

logger = logging.getLogger(__name__)

Leave = Callable[[int], NoReturn]

Transport = Literal["http", "stdio", "both"]
"""Who is served: clients over the network, the one that started the process, or both."""

LOCAL = "local"
"""The principal that the client is who started the process, if nobody says otherwise."""

MANAGEMENT_CONNECTIONS_MAX = 256

BACKEND_STOP_SECONDS = 2.0
"""How long the backend's own clean-up may take, out of the grace period's margin."""

SESSIONS_STOP_SECONDS = 0.5
"""How long the streams of sessions that are ended by us have for their last bytes."""

MANAGEMENT_STOP_SECONDS = 1

COLLECT_OBJECTS = 20_000
"""How many more objects than before there are when the garbage collector looks: some megabytes."""


def drain_times(
    settings: RuntimeSettings, open_seconds: float | None, seconds: float | None
) -> DrainTimes:
    """Make drain times, with what the operator counts on where nothing else is said."""
    return DrainTimes(
        DRAIN_OPEN_SECONDS if open_seconds is None else open_seconds,
        settings.drain.seconds if seconds is None else seconds,
    )


@dataclass(frozen=True)
class Identity:
    """What tells this process from the others of its server; empty where there are none."""

    uid: str = ""
    address: str = ""
    """The address at which they reach it."""


@dataclass(frozen=True)
class Start:
    """What a process starts with."""

    settings: RuntimeSettings
    path: Path
    """Where the settings were read from; relative paths in them start there."""
    version: str
    sources: Sources
    given: Given = NOTHING_GIVEN
    """Keys that the settings do not name."""
    no_key: str = ""
    """What to say where nobody can be let in; empty: what the settings file lacks."""
    importing: Importing = nullcontext
    """What libraries are imported within later; it hides from them what they would take for
    settings."""
    not_read: tuple[str, ...] = ()
    """Variables that somebody may take for settings."""
    identity: Identity = Identity()
    transport: Transport = "http"
    principal: str = LOCAL
    """Who the client is that started the process, where that is served."""
    profiling: bool = False
    """Whether the process may be profiled."""


def serve(start: Start, times: DrainTimes, leave: Leave) -> None:
    """Serve what the settings say; end the process by `leave` after a drain.

    Raises:
        SettingsError: The live settings have faults.
        StartError: The process cannot start as it is configured.
    """
    settings = start.settings
    streams = StandardStreams.taken() if start.transport != "http" else None
    metrics = Metrics(catalogue.RUNTIME_METRICS)
    logs.configure(settings.server.name, sys.stderr, metrics.counter(telemetry_metrics.LOG_LINES))
    if start.not_read:
        logger.warning(
            "with a settings file no setting comes from the environment",
            extra={"variables": start.not_read},
        )
    metrics.info(catalogue.RUNTIME_INFO).info(
        {"version": start.version, "revision": settings.revision}
    )
    own_process.watch(metrics)
    raise_file_limit()
    live = _live(start, metrics)
    certificates = _certificates(start, metrics)
    listeners = _listeners(settings) if start.transport != "stdio" else None
    sharing = app.sharing(live, _here(start), settings.server.uid, metrics, start.sources)
    health = Health()
    process = Process(
        settings=settings,
        version=start.version,
        sources=start.sources,
        metrics=metrics,
        live=live,
        telemetry=Telemetry(_service(start), metrics, start.importing),
        backends=_backends(start, live, _room(settings, metrics)),
        health=health,
        drain=Drain(),
        issuer_keys=app.issuer_keys(live, metrics, start.sources),
        sharing=sharing,
        places=Places(),
        peer_places=Places(),
        rates=Rates.of(settings.server, metrics, start.sources.elapsed),
        homes=app.homes(settings, sharing, health),
        profiling=start.profiling,
    )
    # Behind the import of the backend: a provider of traces that its code sets up stays.
    live.when_loaded(lambda loaded: _take(process, loaded))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        serving = _Serving(process, times, leave, certificates)
        runner.run(serving.run(listeners, streams, start.principal))


def _listeners(settings: RuntimeSettings) -> "Listeners":
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


def _here(start: Start) -> Pod:
    """Say how peers reach this process.

    Raises:
        StartError: They are to reach it, and nobody said how.
    """
    identity, boot = start.identity, start.sources.new_id()
    if start.settings.internal is None:
        return Pod(boot=boot)
    if not (identity.uid and identity.address):
        raise StartError(
            "internal: other processes have to find this one; start it with --pod-uid and "
            "--pod-address"
        )
    host = f"[{identity.address}]" if ":" in identity.address else identity.address
    return Pod(f"{host}:{start.settings.listen.internal_port}", identity.uid, boot)


def _service(start: Start) -> Service:
    server = start.settings.server
    return Service(server.name, server.namespace, start.version, socket.gethostname())


def _take(process: Process, loaded: Loaded) -> None:
    """Take over what the live settings say of logs, telemetry and shared rates."""
    logs.set_level(loaded.monitoring.log_level)
    process.telemetry.apply(loaded.monitoring, loaded.collector)
    process.rates.shared.apply(loaded.rates)
    if loaded.wire.connections < loaded.limits.connections:
        logger.warning(
            "the process may open too few files for limits.connections; raise its limit of open "
            "files (RLIMIT_NOFILE)",
            extra={"wanted": loaded.limits.connections, "possible": loaded.wire.connections},
        )


def _room(settings: RuntimeSettings, metrics: Metrics) -> AnswerRoom:
    """Make room for the large answers of all backends."""
    room = AnswerRoom(are_several=len(settings.backends) > 1)
    metrics.gauge(catalogue.LARGE_ANSWERS).set_function(lambda: room.used)
    metrics.gauge(catalogue.LARGE_ANSWERS_WAITING).set_function(lambda: room.waiting)
    return room


def _backends(start: Start, live: Live, room: AnswerRoom) -> list[Shaped]:
    """Make every backend, shaped as the live settings say at each moment.

    Raises:
        StartError: One cannot be as it is configured.
    """
    are_several = len(start.settings.backends) > 1
    return [
        Shaped(
            _backend(each, start, live, room),
            partial(_tools, live, each.name),
            f"{each.name}_" if are_several else "",
        )
        for each in start.settings.backends
    ]


def _tools(live: Live, backend: str) -> Tools | None:
    return live.loaded.tools.get(backend)


def _backend(settings: BackendSettings, start: Start, live: Live, room: AnswerRoom) -> Backend:
    """Make one backend.

    Raises:
        StartError: It cannot be as it is configured.
    """
    if settings.container is not None:
        return containers.backend(
            settings.name, settings.container, start.path.parent, _pod(start.settings), room
        )
    if settings.remote is not None:
        return remotes.backend(settings.name, settings.remote, start.path.parent, room)
    if settings.python is not None:
        with start.importing():  # half a second, for those that serve an object of the SDK's alone
            from breakwater_runtime.backends.python import PythonBackend
        return PythonBackend(settings.name, settings.python.server, lambda: live.loaded.shared.ring)
    raise StartError(f"backends[{settings.name}]: nothing to serve")


def _pod(settings: RuntimeSettings) -> containers.Pod:
    """Say which sockets may be open where the runtime runs."""
    ports = settings.listen
    own = (ports.public_port, ports.management_port, ports.internal_port)
    return containers.Pod(own, is_ours=bool(settings.server.uid))


def _live(start: Start, metrics: Metrics) -> Live:
    """Load the live settings for the first time.

    Those in a file of their own may come right later, with the process standing by, not ready and
    saying why. Those in the settings file change with a new process only.

    Raises:
        SettingsError: Nobody could ever be let in.
    """
    source = Source.of(start.settings, start.path, start.given)
    live = Live(source, reloads=metrics.counter(catalogue.LIVE_RELOADS))
    live.load()
    if source.inline is not None:
        if live.faults:
            raise SettingsError(live.faults)
        if live.key_fault and start.transport != "stdio":
            where = f"{start.path.name}: live.keysDirectory"
            in_file = f"{where}: {live.key_fault}; put a file there per principal, one key per line"
            raise SettingsError([start.no_key or in_file])
    return live


def _certificates(start: Start, metrics: Metrics) -> Certificates | None:
    """Load the certificate where there is to be TLS.

    Raises:
        StartError: It cannot be used.
    """
    if start.settings.tls is None:
        return None
    loads = metrics.counter(catalogue.CERTIFICATE_LOADS)
    certificates = Certificates(
        start.settings.tls,
        start.path.parent,
        count_load=lambda outcome: loads.labels(outcome).inc(),
    )
    expires = metrics.gauge(catalogue.CERTIFICATE_EXPIRES)
    expires.set_function(lambda: certificates.expires_seconds)
    return certificates


@dataclass(frozen=True)
class Listeners:
    """The sockets of one process."""

    public: socket.socket
    management: socket.socket
    internal: socket.socket | None


class _Port:
    """A server while it serves."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.task = asyncio.create_task(server.run_until_stopped())


class _Ports:
    """The servers of one process."""

    def __init__(self, management: _Port, public: Server, internal: Server | None) -> None:
        self.management = management
        self.opened: list[_Port] = []
        self._servers = [public, *([internal] if internal is not None else [])]

    def open(self) -> list[asyncio.Task[None]]:
        """Serve clients and peers; get what goes on until the end."""
        self.opened = [_Port(server) for server in self._servers]
        return [port.task for port in (self.management, *self.opened)]


class _Serving:
    """One process while it serves."""

    def __init__(
        self,
        process: Process,
        times: DrainTimes,
        leave: Leave,
        certificates: Certificates | None,
    ) -> None:
        self._certificates = certificates
        self._process = process
        self._times = times
        self._leave = leave
        self._open = False

    async def run(
        self, listeners: Listeners | None, streams: StandardStreams | None, principal: str
    ) -> None:
        """Serve until told to stop, drain, and leave.

        Args:
            listeners: The ports; None: there are none.
            streams: The way to the client that started the process; None: it is not served.
            principal: Who that client is.
        """
        process, loop = self._process, asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
        app.register_checks(
            process.health,
            process.live,
            process.backends,
            process.settings,
            process.drain,
            process.issuer_keys,
            process.telemetry,
            process.rates,
        )
        process.health.register(Check("port", lambda: None if self._open else "not open yet"))
        within = app.inside(process)
        ports = None if listeners is None else self._ports(listeners, within)
        client = None if streams is None else app.local(process, within, streams, principal)
        watching = [asyncio.create_task(each) for each in self._watches()]
        async with AsyncExitStack() as backends:
            await self._start_backends(backends)
            _spare_the_collector()
            if ports is not None:
                watching += ports.open()
                logger.info("serving", extra={"port": process.settings.listen.public_port})
            if client is not None:
                watching.append(asyncio.create_task(self._serve(client, alone=ports is None)))
                logger.info("serving the client that started the process")
            self._open = True
            await self._stopped_or_failed(*watching)
            await asyncio.gather(
                *([] if ports is None else [self._drain(ports)]),
                *([] if client is None else [client.finish(self._times.seconds)]),
            )
            await self._stop_backends(backends)
            if ports is not None:
                ports.management.server.stop(within_seconds=MANAGEMENT_STOP_SECONDS)
                await ports.management.task
            self._process.telemetry.close()
            await self._process.rates.shared.close()
            self._leave(0)

    async def _serve(self, client: LocalClient, *, alone: bool) -> None:
        """Serve the client that started the process; where there is no other, it is over then."""
        await client.serve()
        logger.info("the client that started the process has left")
        if alone:
            self._process.drain.begin(hurry=True)
        await asyncio.Event().wait()

    def _ports(self, listeners: Listeners, within: Inside) -> "_Ports":
        """Make the servers; that of the management port begins at once."""
        public = self._public(listeners.public, within)
        internal = self._internal(listeners.internal) if listeners.internal else None
        return _Ports(_Port(self._management(listeners.management)), public, internal)

    def _management(self, listener: socket.socket) -> Server:
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

    def _public(self, listener: socket.socket, within: Inside) -> Server:
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
            tls=self._certificates.context if self._certificates is not None else None,
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

    def _watches(self) -> Iterator[Coroutine[Any, Any, None]]:
        process, certificates = self._process, self._certificates
        yield process.live.watch()
        yield process.issuer_keys.watch()
        if process.homes is not None:
            yield process.homes.watch()
        yield LoopWatch(
            process.metrics.histogram(process_metrics.LOOP_LAG).labels(),
            process.metrics.counter(process_metrics.LOOP_BLOCKED),
        ).run()
        if certificates is not None:
            check = Check("certificate", lambda: certificates.fault, gates_traffic=False)
            process.health.register(check)
            yield certificates.watch()

    def _wall(self) -> float:
        return self._process.sources.now().timestamp()

    def _signalled(self, number: signal.Signals) -> None:
        if not self._open:
            self._leave(0)
        # Somebody at a terminal does not wait for endpoints to be updated.
        self._process.drain.begin(hurry=number is signal.SIGINT)

    async def _start_backends(self, stack: AsyncExitStack) -> None:
        for backend in self._process.backends:
            try:
                await stack.enter_async_context(backend.running())
            except Exception as error:
                raise StartError(
                    f"backends[{backend.name}]: its lifespan failed: "
                    f"{type(error).__name__}: {error}"
                ) from error

    async def _stopped_or_failed(self, *tasks: asyncio.Task[None]) -> None:
        """Wait for the signal to stop; a task that ends before it takes the process down."""
        stopped = asyncio.create_task(self._process.drain.wait())
        done, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        if stopped not in done:
            logger.critical("a part of the process ended", exc_info=done.pop().exception())
            self._leave(1)

    async def _drain(self, ports: "_Ports") -> None:
        """Let those in front notice, then let calls finish and sessions end; streams end well."""
        drain, times, (public, *others) = self._process.drain, self._times, ports.opened
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

    async def _stop_backends(self, stack: AsyncExitStack) -> None:
        try:
            async with asyncio.timeout(BACKEND_STOP_SECONDS):
                await stack.aclose()
        except Exception:
            logger.exception("a backend did not stop well")


def _spare_the_collector() -> None:
    """Have the garbage collector look at requests alone, and not often.

    What was imported and started is for good: looking through it takes 40 ms, in which nobody is
    answered. Requests leave no cycles behind; what tools leave is found after as many objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_OBJECTS, 20, 20)
