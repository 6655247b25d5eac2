"""From what a process starts with to what it shares."""

import logging
import socket
from functools import partial

from breakwater_contract import metrics as catalogue
from breakwater_contract.backends import Backend as BackendSettings
from breakwater_contract.gateway import Tools
from breakwater_contract.settings import RuntimeSettings
from breakwater_runtime import app
from breakwater_runtime.app import Process
from breakwater_runtime.backends import container as containers
from breakwater_runtime.backends import remote as remotes
from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.calls import StartError
from breakwater_runtime.http.in_flight import Places
from breakwater_runtime.http.shared_buckets import Rates
from breakwater_runtime.http.tls import Certificates
from breakwater_runtime.live import Live, Loaded, Source
from breakwater_runtime.management.drain import Drain
from breakwater_runtime.management.health import Health
from breakwater_runtime.observability import logs
from breakwater_runtime.observability.metrics import Metrics
from breakwater_runtime.observability.telemetry import Service, Telemetry
from breakwater_runtime.protocol.session_ids import Pod
from breakwater_runtime.resilience.answer_room import AnswerRoom
from breakwater_runtime.serve.start import Start
from breakwater_runtime.settings import SettingsError
from breakwater_runtime.tools.shaped import Shaped

logger = logging.getLogger(__name__)


def process(start: Start, metrics: Metrics) -> Process:
    """Make what the ports of one process share.

    Raises:
        SettingsError: The live settings have faults.
        StartError: The process cannot start as it is configured.
    """
    settings = start.settings
    live = _live(start, metrics)
    sharing = app.sharing(live, _here(start), settings.server.uid, metrics, start.sources)
    health = Health()
    room = _room(settings, metrics)
    made = Process(
        settings=settings,
        version=start.version,
        sources=start.sources,
        metrics=metrics,
        live=live,
        telemetry=Telemetry(_service(start), metrics, start.importing),
        backends=_backends(start, live, room),
        health=health,
        drain=Drain(),
        issuer_keys=app.issuer_keys(live, metrics, start.sources),
        sharing=sharing,
        places=Places(),
        peer_places=Places(),
        rates=Rates.of(settings.server, metrics, start.sources.elapsed),
        room=room,
        homes=app.homes(settings, sharing, health),
        profiling=start.profiling,
    )
    # Behind the import of the backend: a provider of traces that its code sets up stays.
    live.when_loaded(lambda loaded: _take(made, loaded))
    return made


def certificates(start: Start, metrics: Metrics) -> Certificates | None:
    """Load the certificate where there is to be TLS.

    Raises:
        StartError: It cannot be used.
    """
    if start.settings.tls is None:
        return None
    loads = metrics.counter(catalogue.CERTIFICATE_LOADS)
    made = Certificates(
        start.settings.tls,
        start.path.parent,
        count_load=lambda outcome: loads.labels(outcome).inc(),
    )
    expires = metrics.gauge(catalogue.CERTIFICATE_EXPIRES)
    expires.set_function(lambda: made.expires_seconds)
    return made


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
