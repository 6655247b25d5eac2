"""What the ports of one process share."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from breakwater_contract import metrics as catalogue
from breakwater_contract.names import MCP_PATH, MESSAGES_PATH, RPC_PATH
from breakwater_contract.settings import RuntimeSettings
from breakwater_runtime.calls import Sources
from breakwater_runtime.http.fetch import fetch
from breakwater_runtime.http.in_flight import Places
from breakwater_runtime.http.issuer_keys import IssuerKeys
from breakwater_runtime.http.shared_buckets import Rates
from breakwater_runtime.live import Live
from breakwater_runtime.management.drain import Drain
from breakwater_runtime.management.health import Health
from breakwater_runtime.observability.metrics import Metrics
from breakwater_runtime.observability.telemetry import Telemetry
from breakwater_runtime.protocol.homes import Homes, resolver
from breakwater_runtime.protocol.introductions import introduced
from breakwater_runtime.protocol.session_ids import Pod
from breakwater_runtime.protocol.sharing import Shared, Sharing
from breakwater_runtime.resilience.answer_room import AnswerRoom
from breakwater_runtime.tools.shaped import Shaped

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
    room: AnswerRoom = field(default_factory=AnswerRoom)
    """Where large answers find room."""
    homes: Homes | None = None
    """Where principals are at home; None: wherever they ask."""
    profiling: bool = False
    """Whether it may be profiled: for development."""


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


def issuer_keys(live: Live, metrics: Metrics, sources: Sources) -> IssuerKeys:
    """Make what fetches the keys of the OAuth issuer that the live settings name."""
    return IssuerKeys(
        lambda: live.loaded.access.jwt,
        fetch=fetch,
        elapsed=sources.elapsed,
        fetches=metrics.counter(catalogue.ISSUER_FETCHES),
    )
