"""What the private port shows: plain answers to GET."""

import time
from collections.abc import Callable

import orjson
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.exposition import choose_encoder
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from breakwater_runtime.calls import Problem, Refused
from breakwater_runtime.management.health import Health

Details = Callable[[], dict[str, object]]
"""What only the operator and holders of an admin key are told."""


class Page:
    """Answers GET and HEAD with what a function makes of the request."""

    def __init__(self, answer: Callable[[Scope], Response]) -> None:
        """Answer with `answer`."""
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse another method."""
        if scope["method"] not in {"GET", "HEAD"}:
            raise Refused(Problem.METHOD_NOT_ALLOWED, headers={"allow": "GET, HEAD"})
        await self._answer(scope)(scope, receive, send)


def live() -> Page:
    """Say that the process answers at all."""
    return Page(lambda _: _json({"status": "live"}))


def ready(health: Health) -> Page:
    """Say whether requests should come here: 200 or 503."""

    def answer(_: Scope) -> Response:
        is_ready = health.ready()
        return _json({"status": "ready" if is_ready else "not ready"}, 200 if is_ready else 503)

    return Page(answer)


def health(
    health: Health, version: str, may_see: Callable[[Scope], bool], details: Details
) -> Page:
    """Say how each check is, and to insiders what is loaded: 503 where something is wrong."""

    def answer(scope: Scope) -> Response:
        faults = health.faults()
        is_well = not any(faults.values())
        told = may_see(scope)
        checks = [
            {"name": name, "status": "degraded" if fault else "ok"}
            | ({"message": fault} if told and fault else {})
            for name, fault in faults.items()
        ]
        body = {"status": "ok" if is_well else "degraded", "version": version, "checks": checks}
        return _json(body | (details() if told else {}), 200 if is_well else 503)

    return Page(answer)


HEALTH_METRICS = frozenset(
    {
        *("process_cpu_time_seconds", "process_memory_usage_bytes", "process_thread_count"),
        *("process_unix_file_descriptor_count", "process_uptime_seconds", "mcp_ready"),
        *("mcp_health_check", "mcp_connections", "mcp_connections_limit", "mcp_streams"),
        *("mcp_streams_limit", "http_server_active_requests", "mcp_requests_limit"),
        *("mcp_requests_queued", "mcp_active_tool_calls", "mcp_sessions", "mcp_lost_threads"),
        *("mcp_pool_used", "mcp_pool_open", "mcp_pool_limit", "mcp_pool_waiting", "mcp_draining"),
    }
)
"""The metrics that say how the process is at this moment, without a history to compare with."""


def health_metrics(health: Health, registry: CollectorRegistry) -> Page:
    """Show health in numbers: what is in use, and how much of it there may be."""

    def answer(_: Scope) -> Response:
        values = [
            {"name": sample.name, "labels": sample.labels, "value": sample.value}
            for family in registry.collect()
            if family.name in HEALTH_METRICS
            for sample in family.samples
        ]
        is_well = not any(health.faults().values())
        return _json({"status": "ok" if is_well else "degraded", "metrics": values})

    return Page(answer)


def metrics(registry: CollectorRegistry, cost: Counter) -> Page:
    """Show the metrics as Prometheus reads them; count in `cost` the processor time it takes."""

    def answer(scope: Scope) -> Response:
        encode, media_type = choose_encoder(Headers(scope=scope).get("accept", ""))
        began = time.thread_time()
        content = encode(registry)
        cost.inc(time.thread_time() - began)
        return Response(content, headers={"content-type": media_type})

    return Page(answer)


def metrics_json(registry: CollectorRegistry) -> Page:
    """Show the same numbers as JSON."""

    def answer(_: Scope) -> Response:
        families = [
            {
                "name": family.name,
                "type": family.type,
                "help": family.documentation,
                "samples": [
                    {"name": sample.name, "labels": sample.labels, "value": sample.value}
                    for sample in family.samples
                ],
            }
            for family in registry.collect()
        ]
        return _json({"metrics": families})

    return Page(answer)


def _json(body: dict[str, object], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status_code=status, media_type="application/json")
