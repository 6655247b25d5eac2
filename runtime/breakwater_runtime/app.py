"""Both ports in one view: every endpoint, and every step that a request takes, in order."""

import ssl
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

from prometheus_client import Counter
from starlette.types import ASGIApp

from breakwater_contract import metrics as catalogue
from breakwater_contract import telemetry_metrics
from breakwater_contract.names import (
    CAPABILITIES_PATH,
    HEALTH_LIVE_PATH,
    HEALTH_PATH,
    HEALTH_READY_PATH,
    MCP_PATH,
    MESSAGES_PATH,
    METRICS_PATH,
    ONE_SHOT_PATH,
    PROFILE_PATH,
    RPC_PATH,
    SSE_PATH,
    TOOL_PATH,
    TOOLS_PATH,
)
from breakwater_contract.settings import JSONRPC, REST, SSE, STREAMABLE_HTTP, RuntimeSettings
from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.backends.compose import compose
from breakwater_runtime.backends.gateway import Member, clashes
from breakwater_runtime.backends.gateway.meta import META_TOOLS
from breakwater_runtime.calls import Refused, Sources
from breakwater_runtime.http.addresses import ClientAddress
from breakwater_runtime.http.answer_headers import AnswerHeaders
from breakwater_runtime.http.authentication import Authentication
from breakwater_runtime.http.body_limit import BodyLimit
from breakwater_runtime.http.challenges import Challenges
from breakwater_runtime.http.cors import Preflight
from breakwater_runtime.http.endpoints import Endpoint, Endpoints, Routes
from breakwater_runtime.http.errors import Errors, plain_body
from breakwater_runtime.http.failures import Failures
from breakwater_runtime.http.fetch import fetch
from breakwater_runtime.http.host import Host
from breakwater_runtime.http.https import Https
from breakwater_runtime.http.in_flight import InFlight, Places
from breakwater_runtime.http.issuer_keys import IssuerKeys
from breakwater_runtime.http.limits import is_near
from breakwater_runtime.http.oauth_metadata import OAuthMetadata
from breakwater_runtime.http.origin import Origin
from breakwater_runtime.http.pipeline import Pipeline
from breakwater_runtime.http.port import Refusing
from breakwater_runtime.http.rate_limit import Charges, RateLimit
from breakwater_runtime.http.request_metrics import RequestMetrics, RequestSeries
from breakwater_runtime.http.shared_buckets import Rates
from breakwater_runtime.http.tokens import Tokens
from breakwater_runtime.http.url_credentials import UrlCredentials
from breakwater_runtime.live import Live
from breakwater_runtime.management import pages, samples
from breakwater_runtime.management.drain import Drain
from breakwater_runtime.management.health import Check, Health
from breakwater_runtime.management.insiders import Insiders
from breakwater_runtime.management.operator import OperatorOnly, OperatorTokens
from breakwater_runtime.management.profile import Profile
from breakwater_runtime.observability.audit import Audit
from breakwater_runtime.observability.metrics import Metrics
from breakwater_runtime.observability.telemetry import Telemetry
from breakwater_runtime.protocol.at_home import AtHome
from breakwater_runtime.protocol.conversation import Conversation
from breakwater_runtime.protocol.dispatch import Dispatcher
from breakwater_runtime.protocol.homes import Homes, resolver
from breakwater_runtime.protocol.introductions import Introduction, introduced
from breakwater_runtime.protocol.json_rpc import JsonRpc
from breakwater_runtime.protocol.legacy_sse import LegacySse
from breakwater_runtime.protocol.plain.capabilities import Capabilities
from breakwater_runtime.protocol.plain.tools import PlainTools
from breakwater_runtime.protocol.session_ids import Pod
from breakwater_runtime.protocol.session_watch import SessionWatch
from breakwater_runtime.protocol.sharing import Shared, Sharing
from breakwater_runtime.protocol.standard_streams import StandardStreams
from breakwater_runtime.protocol.stdio import LocalClient, LocalLimits
from breakwater_runtime.protocol.streamable_http import StreamableHttp
from breakwater_runtime.protocol.ticker import Ticker
from breakwater_runtime.tools.bounds import Bounds
from breakwater_runtime.tools.guarded import Guarded
from breakwater_runtime.tools.policy_check import PolicyCheck
from breakwater_runtime.tools.shaped import Shaped
from breakwater_runtime.tools.watch import Watch, Watching

OPERATOR_BODY_BYTES_MAX = 64 * 1024

PATHS = (
    *(MCP_PATH, SSE_PATH, MESSAGES_PATH, RPC_PATH),
    *(TOOLS_PATH, TOOL_PATH, ONE_SHOT_PATH, CAPABILITIES_PATH),
)
"""Every path of the public port."""

JSON_RPC_PATHS = frozenset({MCP_PATH, MESSAGES_PATH, RPC_PATH})
"""Where errors are JSON-RPC's; elsewhere they have the one error body."""


@dataclass(frozen=True)
class Process:
    """What the ports share."""

    settings: RuntimeSettings
    version: str
    sources: Sources
    metrics: Metrics
    live: Live
    backends: Sequence[Shaped]
    health: Health
    drain: Drain
    issuer_keys: IssuerKeys
    sharing: Sharing
    places: Places
    peer_places: Places
    """Of their own: replicas full of requests for each other would wait for one another."""
    telemetry: Telemetry
    rates: Rates
    """How often who has asked lately."""
    homes: Homes | None = None
    """Where principals are at home; None: wherever they ask."""
    profiling: bool = False
    """Whether it may be profiled: for development."""


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
    )
    guarded = [Guarded(each, check, bounds, partial(_prefix, each)) for each in process.backends]
    backend = _composed(process, guarded, bounds.hold)
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


def public(process: Process, within: Inside | None = None) -> ASGIApp:
    """Make the port for clients; `within` is made anew where nothing else leads there."""
    within = within or inside(process)
    metrics, sources, live = process.metrics, process.sources, process.live
    audit, charges, backend = within.audit, within.charges, within.backend
    watch, dispatcher, ticker = (
        within.watch,
        within.dispatcher,
        Ticker(lambda: live.loaded.wire.heartbeat_seconds),
    )
    cut = metrics.counter(catalogue.CUT)
    plain = PlainTools(
        dispatcher,
        ticker,
        now=sources.now,
        error_body=lambda refusal, request_id: plain_body(refusal, request_id, sources.now()),
    )
    session_watch = SessionWatch(audit, metrics.histogram(catalogue.SESSION_DURATION))
    mcp = StreamableHttp(
        backend,
        process.sharing.ids,
        lambda: live.loaded.session_limits,
        watch=watch,
        session_watch=session_watch,
        gives_sessions=lambda: live.loaded.gives_sessions,
        sharing=process.sharing,
        is_draining=lambda: process.drain.begun,
        lines=plain.lines,
        takes_lines=lambda: REST in live.loaded.endpoints,
        ticker=ticker,
        charge=charges.request,
    )
    process.drain.keep_sessions(mcp.sessions_over, mcp.end_sessions)
    sse = LegacySse(
        partial(Conversation, backend=backend, dispatcher=dispatcher),
        process.sharing,
        ticker,
        limits=lambda: live.loaded.session_limits,
        watch=session_watch,
        is_open=lambda: SSE in live.loaded.endpoints,
        is_draining=lambda: process.drain.begun,
    )
    metrics.gauge(catalogue.SESSIONS).set_function(lambda: mcp.sessions + len(sse))
    process.drain.at_end_of_streams(mcp.end_streams)
    process.drain.at_end_of_streams(sse.end_streams)
    capabilities = Capabilities(dispatcher)
    endpoints = Endpoints(
        [
            Endpoint(MCP_PATH, mcp, ("POST", "GET", "DELETE"), STREAMABLE_HTTP, by_itself=True),
            Endpoint(SSE_PATH, sse.listen, ("GET",), SSE),
            Endpoint(MESSAGES_PATH, sse.post, ("POST",), SSE),
            Endpoint(RPC_PATH, JsonRpc(dispatcher, ticker, charges.request), ("POST",), JSONRPC),
            Endpoint(TOOLS_PATH, plain.list, ("GET",), REST),
            Endpoint(TOOL_PATH, plain.call, ("POST",), REST),
            Endpoint(ONE_SHOT_PATH, plain.one_shot, ("POST",), REST),
            Endpoint(CAPABILITIES_PATH, capabilities, ("GET",)),
        ],
        lambda: live.loaded.endpoints,
    )
    capabilities.tell(
        lambda: [(each.setting, each.path, each.methods) for each in endpoints.opened]
    )
    process.drain.at_end_of_streams(process.sharing.forwarder.end_streams)
    tokens = Tokens(
        lambda: live.loaded.access,
        issuer_keys=process.issuer_keys,
        service_account_keys=lambda: live.loaded.service_account_keys,
        now=sources.now,
    )
    failures = Failures(lambda: live.loaded.access.failures_per_minute, sources.elapsed)
    challenges = Challenges(lambda: live.loaded.access)
    _watch_places(process)
    process.sharing.answer_by(endpoints)
    return Pipeline(
        [
            # The first, so that refusals are counted by their status.
            _request_metrics(process, endpoints.route),
            # Whom to believe about the address is known before the address is used for anything.
            ClientAddress(rules=lambda: live.loaded.addresses, audit=audit),
            Host(hosts=lambda: live.loaded.hosts, audit=audit),
            Origin(origins=lambda: live.loaded.origins, audit=audit),
            # Browsers send preflights without credentials.
            Preflight(),
            # Before a URL with a credential in it is looked at any further.
            UrlCredentials(audit=audit),
            # Behind the check of URLs: what is sent to another URL contains no credential.
            Https(settings=lambda: live.loaded.access, audit=audit),
            # Clients look here before they have a credential.
            OAuthMetadata(settings=lambda: live.loaded.access),
            # Before anything of the request is read or its path looked up: without a credential
            # there is nothing to learn here.
            Authentication(
                settings=lambda: live.loaded.access,
                keyring=lambda: live.loaded.keyring,
                tokens=tokens,
                challenges=challenges,
                failures=failures,
                outcomes=metrics.counts(catalogue.AUTHENTICATION),
                audit=audit,
                now=sources.now,
            ),
            # Nobody can use up what belongs to somebody else: first it is known who asks.
            RateLimit(charges=charges),
            InFlight(
                limits=lambda: live.loaded.limits,
                places=process.places,
                count_cut=lambda reason: cut.labels(reason).inc(),
            ),
            BodyLimit(max_bytes=lambda: live.loaded.wire.body_bytes),
        ],
        _at_home(process, endpoints),
        headers=AnswerHeaders(lambda: live.loaded.origins),
        errors=Errors(json_rpc=JSON_RPC_PATHS, now=sources.now, challenge=challenges.scopes),
        new_id=sources.new_id,
    )


def _at_home(process: Process, endpoints: ASGIApp) -> ASGIApp:
    if process.homes is None:
        return endpoints
    return AtHome(endpoints, process.homes, process.sharing.forwarder)


def _composed(
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


def _reserved(settings: RuntimeSettings) -> Collection[str]:
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


def _request_metrics(process: Process, route: Callable[[str], str | None]) -> RequestMetrics:
    metrics = process.metrics
    series = RequestSeries(
        duration=metrics.histogram(catalogue.REQUEST_DURATION),
        overhead=metrics.histogram(catalogue.OVERHEAD).labels(),
        first_message=metrics.histogram(catalogue.FIRST_MESSAGE).labels(),
        stream_messages=metrics.counter(catalogue.STREAM_MESSAGES),
        stream_bytes=metrics.counter(catalogue.STREAM_BYTES),
    )
    return RequestMetrics(
        series,
        route=route,
        elapsed=process.sources.elapsed,
        telemetry=process.telemetry,
        options=lambda: process.live.loaded.options,
    )


def internal(process: Process) -> ASGIApp:
    """Make the port for peers; what holds for all clients was seen to where these came in."""
    live, sources = process.live, process.sources
    cut = process.metrics.counter(catalogue.CUT)
    return Pipeline(
        [
            Introduction(process.sharing.here, process.health.ready),
            process.sharing.admit,
            InFlight(
                limits=lambda: live.loaded.limits,
                places=process.peer_places,
                count_cut=lambda reason: cut.labels(reason).inc(),
            ),
            BodyLimit(max_bytes=lambda: live.loaded.wire.body_bytes),
        ],
        process.sharing,
        headers=AnswerHeaders(),
        errors=Errors(json_rpc=JSON_RPC_PATHS, now=sources.now),
        new_id=sources.new_id,
    )


def sharing(live: Live, here: Pod, server_uid: str, metrics: Metrics, sources: Sources) -> Sharing:
    """Make what knows the other pods of the server, of which this process is `here`."""

    def client_tls() -> ssl.SSLContext | None:
        tls = live.loaded.shared.tls
        return None if tls is None else tls.client

    shared = Shared(server_uid, lambda: live.loaded.shared.ring, client_tls)
    return Sharing(shared, here, sources.now, metrics.counter(catalogue.FORWARDS))


def homes(settings: RuntimeSettings, sharing: Sharing, health: Health) -> Homes | None:
    """Make what knows where principals are at home; None: nothing is kept for them."""
    if settings.internal is None or not settings.internal.peers:
        return None
    return Homes(
        sharing.here,
        resolver(settings.internal.peers, settings.listen.internal_port),
        partial(introduced, sharing.peers),
        health.ready,
    )


def _watch_places(process: Process) -> None:
    """Have the places for requests and streams watched: of clients or of peers, the fuller ones."""
    metrics, live = process.metrics, process.live
    places = (process.places, process.peer_places)

    def active() -> int:
        return max(each.active for each in places)

    def streams() -> int:
        return max(each.streams for each in places)

    for metric, value in {
        catalogue.IN_FLIGHT: active,
        catalogue.IN_FLIGHT_LIMIT: lambda: live.loaded.limits.in_flight,
        catalogue.QUEUED: lambda: max(each.queued for each in places),
        catalogue.STREAMS: streams,
        catalogue.STREAMS_LIMIT: lambda: live.loaded.limits.streams,
    }.items():
        metrics.gauge(metric).set_function(value)
    near = metrics.gauge(catalogue.NEAR_LIMIT)
    near.labels("requests").set_function(lambda: is_near(active(), live.loaded.limits.in_flight))
    near.labels("streams").set_function(lambda: is_near(streams(), live.loaded.limits.streams))


def refusing(process: Process) -> Refusing:
    """Make what answers what never becomes a request, as the public port's own steps would."""
    live, sources = process.live, process.sources

    def made(refusal: Refused, *, is_known: bool = False) -> ASGIApp:
        async def refuse(*_: object) -> None:
            raise refusal

        return Pipeline(
            [] if is_known else [_request_metrics(process, Routes(PATHS))],
            refuse,
            headers=AnswerHeaders(lambda: live.loaded.origins),
            errors=Errors(json_rpc=JSON_RPC_PATHS, now=sources.now),
            new_id=sources.new_id,
        )

    return made


def management(process: Process) -> ASGIApp:
    """Make the port for probes, metrics and the operator; outside every SLI."""
    sources, registry, health = process.sources, process.metrics.registry, process.health
    live = process.live
    tokens = OperatorTokens(
        audience=process.settings.server.uid, keys=lambda: process.live.loaded.operator_keys
    )
    samples.watch_health(process.metrics, health)
    samples.watch_pools(process.metrics, process.backends)
    insiders = Insiders(
        tokens, is_admin_key=lambda key: live.loaded.admin_keyring.opens(key, sources.now())
    )
    ready = pages.ready(health)
    return Pipeline(
        [BodyLimit(max_bytes=lambda: OPERATOR_BODY_BYTES_MAX)],
        Endpoints(
            [
                Endpoint(HEALTH_LIVE_PATH, pages.live()),
                Endpoint(HEALTH_READY_PATH, ready),
                Endpoint(f"{HEALTH_PATH}{HEALTH_READY_PATH}", ready),
                Endpoint(
                    HEALTH_PATH,
                    pages.health(health, process.version, insiders, lambda: _details(process)),
                ),
                Endpoint(f"{HEALTH_PATH}{METRICS_PATH}", pages.health_metrics(health, registry)),
                Endpoint(METRICS_PATH, pages.metrics(registry, _page_cost(process))),
                Endpoint(f"{METRICS_PATH}.json", pages.metrics_json(registry)),
                *([Endpoint(PROFILE_PATH, Profile(insiders))] if process.profiling else []),
                Endpoint(
                    MCP_PATH,
                    OperatorOnly(
                        StreamableHttp(
                            _composed(process, process.backends),
                            process.sharing.ids,
                            gives_sessions=lambda: False,
                        ),
                        tokens=tokens,
                    ),
                ),
            ]
        ),
        headers=AnswerHeaders(),
        errors=Errors(json_rpc=JSON_RPC_PATHS, now=sources.now),
        new_id=sources.new_id,
    )


def _page_cost(process: Process) -> Counter:
    return process.metrics.counter(telemetry_metrics.COST).labels("page")


def issuer_keys(live: Live, metrics: Metrics, sources: Sources) -> IssuerKeys:
    """Make what fetches the keys of the OAuth issuer that the live settings name."""
    return IssuerKeys(
        lambda: live.loaded.access.jwt,
        fetch=fetch,
        elapsed=sources.elapsed,
        fetches=metrics.counter(catalogue.ISSUER_FETCHES),
    )


def register_checks(
    health: Health,
    live: Live,
    backends: Sequence[Backend],
    settings: RuntimeSettings,
    drain: Drain,
    issuer_keys: IssuerKeys,
    telemetry: Telemetry,
    rates: Rates,
) -> None:
    """Say what must be well before requests come, and what is worth a look."""
    health.register(Check("draining", lambda: "it was told to stop" if drain.begun else None))
    _register_backends(health, backends, settings)
    health.register(Check("keys", lambda: live.key_fault))
    # The last good settings still hold: no reason to send requests elsewhere.
    health.register(Check("live settings", lambda: live.fault, gates_traffic=False))
    # So do the last good keys; and who has a key of ours needs no issuer.
    health.register(Check("issuer keys", lambda: issuer_keys.fault, gates_traffic=False))
    # Nor does a call wait for the collector.
    health.register(Check("telemetry", lambda: telemetry.fault, gates_traffic=False))
    # All replicas ask the same store: none would be left.
    health.register(Check("shared rates", lambda: rates.shared.fault, gates_traffic=False))


def _register_backends(
    health: Health, backends: Sequence[Backend], settings: RuntimeSettings
) -> None:
    """Say whether each backend is well; one that is not takes the others out only by choice."""
    needs_all = settings.gateway is not None and settings.gateway.ready == "All"
    gates = len(backends) == 1 or needs_all
    for backend in backends:
        check = Check(f"backend {backend.name}", partial(_fault, backend), gates_traffic=gates)
        health.register(check)
    if not gates:

        def none() -> str | None:
            return "none can answer" if all(backend.fault for backend in backends) else None

        health.register(Check("backends", none))


def _fault(backend: Backend) -> str | None:
    return backend.fault


def _details(process: Process) -> dict[str, object]:
    clashing = clashes(process.backends, _reserved(process.settings))
    return {
        "revision": process.settings.revision,
        "loaded": {"live": process.live.loaded.hash},
        "settings": {"fault": process.live.fault},
        "operatorKeys": sorted(process.live.loaded.operator_keys),
        "sessions": _sessions(process),
        "backends": [
            {
                "name": backend.name,
                "state": "failed" if backend.fault else "ready",
                "message": backend.fault or "",
                "findings": [
                    {"reason": finding.reason.value, "message": finding.message}
                    for finding in (*backend.findings, *clashing.get(backend.name, ()))
                ],
            }
            for backend in process.backends
        ],
    }


def _sessions(process: Process) -> int:
    """Count the sessions that this process holds, as the metric does."""
    registry = process.metrics.registry.restricted_registry([catalogue.SESSIONS.name])
    samples = (sample for family in registry.collect() for sample in family.samples)
    return int(sum(sample.value for sample in samples))
