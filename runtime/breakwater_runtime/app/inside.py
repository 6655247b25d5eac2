"""The way of a call from any transport to its backend."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

from breakwater_contract import metrics as catalogue
from breakwater_contract.settings import RuntimeSettings
from breakwater_runtime.app.process import Process
from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.backends.compose import compose
from breakwater_runtime.backends.gateway import Member
from breakwater_runtime.backends.gateway.meta import META_TOOLS
from breakwater_runtime.http.rate_limit import Charges
from breakwater_runtime.live import Live
from breakwater_runtime.observability.audit import Audit
from breakwater_runtime.protocol.conversation import Conversation
from breakwater_runtime.protocol.dispatch import Dispatcher
from breakwater_runtime.protocol.standard_streams import StandardStreams
from breakwater_runtime.protocol.stdio import LocalClient, LocalLimits
from breakwater_runtime.tools.bounds import Bounds
from breakwater_runtime.tools.guarded import Guarded
from breakwater_runtime.tools.policy_check import PolicyCheck
from breakwater_runtime.tools.shaped import Shaped
from breakwater_runtime.tools.watch import Watch, Watching


@dataclass(frozen=True)
class Inside:
    """What every call passes, whichever way it came in."""

    audit: Audit
    charges: Charges
    backend: Backend
    watch: Watch
    dispatcher: Dispatcher


def inside(process: Process) -> Inside:
    """Make the way of a call from any transport to its backend."""
    metrics, live = process.metrics, process.live
    audit = Audit(metrics.counter(catalogue.SECURITY_EVENTS))
    charges = Charges(
        lambda: live.loaded.limits.requests_per_minute,
        process.rates.own,
        process.rates.shared,
        limited=metrics.counter(catalogue.RATE_LIMITED),
        audit=audit,
    )
    check = PolicyCheck(lambda: live.loaded.policies, audit)
    # The policies stand in front of each backend, not of all together: they speak of a backend and
    # of names that it gives.
    bounds = Bounds(
        charges.tool,
        lambda: live.loaded.wire.response_bytes,
        lambda: live.loaded.wire.call_seconds,
        process.room,
    )
    guarded = [Guarded(each, check, bounds, partial(_prefix, each)) for each in process.backends]
    backend = composed(process, guarded, bounds.hold)
    watch = Watch(backend, _watching(process, audit))
    metrics.gauge(catalogue.LOST_THREADS).set_function(lambda: backend.lost_threads)
    metrics.gauge(catalogue.ACTIVE_CALLS).set_function(lambda: watch.active)
    return Inside(audit, charges, backend, watch, Dispatcher(backend, watch))


def local(
    process: Process, within: Inside, streams: StandardStreams, principal: str
) -> LocalClient:
    """Make what serves the client that started the process."""
    live = process.live
    return LocalClient(
        partial(Conversation, backend=within.backend, dispatcher=within.dispatcher),
        streams,
        principal=principal,
        limits=LocalLimits(
            message_bytes=lambda: live.loaded.wire.body_bytes,
            in_flight=lambda: live.loaded.limits.in_flight,
            charge=within.charges.request,
        ),
        new_id=process.sources.new_id,
    )


def composed(
    process: Process,
    backends: Sequence[Backend],
    hold: Callable[[bytes], bytes] = lambda result: result,
) -> Backend:
    """Make one backend of all; their prefixes, and what policies show, are those of the moment."""
    members = [
        Member(backend, partial(_prefix, shaped), partial(_shown, process.live, shaped))
        for backend, shaped in zip(backends, process.backends, strict=True)
    ]
    info = {"name": process.settings.server.name, "version": process.version}
    return compose(members, process.settings.gateway, info, hold)


def _prefix(shaped: Shaped) -> str:
    return shaped.shaping.prefix


def _shown(live: Live, shaped: Shaped) -> object:
    return shaped.shaping.settings, live.loaded.access.policies


def reserved(settings: RuntimeSettings) -> Collection[str]:
    """Name the tools that the gateway has itself."""
    if settings.gateway is None:
        return META_TOOLS if len(settings.backends) > 1 else ()
    return META_TOOLS if settings.gateway.catalogue != "Merged" else ()


def _watching(process: Process, audit: Audit) -> Watching:
    return Watching(
        duration=process.metrics.histogram(catalogue.OPERATION_DURATION),
        slow=process.metrics.counter(catalogue.SLOW_OPERATIONS),
        audit=audit,
        telemetry=process.telemetry,
        options=lambda: process.live.loaded.options,
        elapsed=process.sources.elapsed,
    )
