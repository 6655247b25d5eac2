"""The port for probes, metrics and the operator."""

from prometheus_client import Counter
from starlette.types import ASGIApp

from breakwater_contract import metrics as catalogue
from breakwater_contract import telemetry_metrics
from breakwater_contract.names import (
    HEALTH_LIVE_PATH,
    HEALTH_PATH,
    HEALTH_READY_PATH,
    MCP_PATH,
    METRICS_PATH,
    PROFILE_PATH,
)
from breakwater_runtime.app.inside import composed, reserved
from breakwater_runtime.app.process import JSON_RPC_PATHS, Process
from breakwater_runtime.backends.gateway import clashes
from breakwater_runtime.http.answer_headers import AnswerHeaders
from breakwater_runtime.http.body_limit import BodyLimit
from breakwater_runtime.http.endpoints import Endpoint, Endpoints
from breakwater_runtime.http.errors import Errors
from breakwater_runtime.http.pipeline import Pipeline
from breakwater_runtime.management import pages, samples
from breakwater_runtime.management.insiders import Insiders
from breakwater_runtime.management.operator import OperatorOnly, OperatorTokens
from breakwater_runtime.management.profile import Profile
from breakwater_runtime.protocol.streamable_http import StreamableHttp

OPERATOR_BODY_BYTES_MAX = 64 * 1024


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
                            composed(process, process.backends),
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


def _details(process: Process) -> dict[str, object]:
    clashing = clashes(process.backends, reserved(process.settings))
    return {
        "revision": process.settings.revision,
        "loaded": {"live": process.live.loaded.hash},
        "settings": {"fault": process.live.fault},
        "sharedRates": {"fault": process.rates.shared.fault},
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
