"""The port for clients: every endpoint, and every step that a request takes, in order."""

from collections.abc import Callable
from functools import partial

from starlette.types import ASGIApp

from breakwater_contract import metrics as catalogue
from breakwater_contract.names import (
    CAPABILITIES_PATH,
    MCP_PATH,
    MESSAGES_PATH,
    ONE_SHOT_PATH,
    RPC_PATH,
    SSE_PATH,
    TOOL_PATH,
    TOOLS_PATH,
)
from breakwater_contract.settings import JSONRPC, REST, SSE, STREAMABLE_HTTP
from breakwater_runtime.app.inside import Inside, inside
from breakwater_runtime.app.process import JSON_RPC_PATHS, Process
from breakwater_runtime.calls import Refused
from breakwater_runtime.http.addresses import ClientAddress
from breakwater_runtime.http.answer_headers import AnswerHeaders
from breakwater_runtime.http.authentication import Authentication
from breakwater_runtime.http.body_limit import BodyLimit
from breakwater_runtime.http.challenges import Challenges
from breakwater_runtime.http.cors import Preflight
from breakwater_runtime.http.endpoints import Endpoint, Endpoints, Routes
from breakwater_runtime.http.errors import Errors, plain_body
from breakwater_runtime.http.failures import Failures
from breakwater_runtime.http.host import Host
from breakwater_runtime.http.https import Https
from breakwater_runtime.http.in_flight import InFlight
from breakwater_runtime.http.limits import is_near
from breakwater_runtime.http.oauth_metadata import OAuthMetadata
from breakwater_runtime.http.origin import Origin
from breakwater_runtime.http.pipeline import Pipeline
from breakwater_runtime.http.port import Refusing
from breakwater_runtime.http.rate_limit import RateLimit
from breakwater_runtime.http.request_metrics import RequestMetrics, RequestSeries
from breakwater_runtime.http.tokens import Tokens
from breakwater_runtime.http.url_credentials import UrlCredentials
from breakwater_runtime.protocol.at_home import AtHome
from breakwater_runtime.protocol.conversation import Conversation
from breakwater_runtime.protocol.json_rpc import JsonRpc
from breakwater_runtime.protocol.legacy_sse import LegacySse
from breakwater_runtime.protocol.plain.capabilities import Capabilities
from breakwater_runtime.protocol.plain.tools import PlainTools
from breakwater_runtime.protocol.session_watch import SessionWatch
from breakwater_runtime.protocol.streamable_http import StreamableHttp
from breakwater_runtime.protocol.ticker import Ticker

PATHS = (
    *(MCP_PATH, SSE_PATH, MESSAGES_PATH, RPC_PATH),
    *(TOOLS_PATH, TOOL_PATH, ONE_SHOT_PATH, CAPABILITIES_PATH),
)
"""Every path of the public port."""


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


def _request_metrics(process: Process, route: Callable[[str], str | None]) -> RequestMetrics:
    metrics = process.metrics
    series = RequestSeries(
        duration=metrics.histogram(catalogue.REQUEST_DURATION),
        overhead=metrics.histogram(catalogue.OVERHEAD).labels(),
        first_message=metrics.histogram(catalogue.FIRST_MESSAGE).labels(),
        stream_messages=metrics.counts(catalogue.STREAM_MESSAGES),
        stream_bytes=metrics.counts(catalogue.STREAM_BYTES),
    )
    return RequestMetrics(
        series,
        route=route,
        elapsed=process.sources.elapsed,
        telemetry=process.telemetry,
        options=lambda: process.live.loaded.options,
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
