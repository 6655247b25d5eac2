"""From what a process starts with to ports that serve, and out again in order."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any

import uvloop

from breakwater_contract import metrics as catalogue
from breakwater_contract import process_metrics, telemetry_metrics
from breakwater_contract.names import DRAIN_OPEN_SECONDS
from breakwater_contract.settings import RuntimeSettings
from breakwater_runtime import app
from breakwater_runtime.app import Process
from breakwater_runtime.calls import StartError
from breakwater_runtime.http.limits import raise_file_limit
from breakwater_runtime.http.tls import Certificates
from breakwater_runtime.management.drain import DrainTimes
from breakwater_runtime.management.health import Check
from breakwater_runtime.observability import logs
from breakwater_runtime.observability import process as own_process
from breakwater_runtime.observability.loop import LoopWatch
from breakwater_runtime.observability.metrics import Metrics
from breakwater_runtime.protocol.standard_streams import StandardStreams
from breakwater_runtime.protocol.stdio import LocalClient
from breakwater_runtime.serve import making, ports
from breakwater_runtime.serve.ports import Listeners, Ports
from breakwater_runtime.serve.start import Leave, Start

logger = logging.getLogger(__name__)

BACKEND_STOP_SECONDS = 2.0
"""How long the backend's own clean-up may take, out of the grace period's margin."""

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
    certificates = making.certificates(start, metrics)
    listeners = ports.listeners(settings) if start.transport != "stdio" else None
    process = making.process(start, metrics)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        serving = _Serving(process, times, leave, certificates)
        runner.run(serving.run(listeners, streams, start.principal))


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
        app.register_checks(process)
        process.health.register(Check("port", lambda: None if self._open else "not open yet"))
        within = app.inside(process)
        served = (
            None if listeners is None else Ports(process, listeners, within, self._certificates)
        )
        client = None if streams is None else app.local(process, within, streams, principal)
        watching = [asyncio.create_task(each) for each in self._watches()]
        async with AsyncExitStack() as backends:
            await self._start_backends(backends)
            _spare_the_collector()
            if served is not None:
                watching += served.open()
                logger.info("serving", extra={"port": process.settings.listen.public_port})
            if client is not None:
                watching.append(asyncio.create_task(self._serve(client, alone=served is None)))
                logger.info("serving the client that started the process")
            self._open = True
            await self._stopped_or_failed(*watching)
            await asyncio.gather(
                *([] if served is None else [served.drain(self._times)]),
                *([] if client is None else [client.finish(self._times.seconds)]),
            )
            await self._stop_backends(backends)
            if served is not None:
                await served.stop()
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
