"""A collector: takes OTLP over HTTP, decodes it, and can be slow, refuse, or say nothing."""

import gzip
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


@dataclass(frozen=True)
class Span:
    """A span as the collector got it."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    failed: bool
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    links: tuple[str, ...]


@dataclass
class Collector:
    """What has come so far, and how to answer from now on."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    """How to answer the next requests; then 200."""
    silent: threading.Event = field(default_factory=threading.Event)
    """While it is set, requests are not answered."""
    released: threading.Event = field(default_factory=threading.Event)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    """The newest metrics, by name, as protobuf has them."""

    def named(self, name: str) -> list[Span]:
        """Get the spans of a name."""
        return [span for span in self.spans if span.name == name]


@contextmanager
def collector() -> Iterator[Collector]:
    """Run one on loopback."""
    state = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            state.headers.append({key.lower(): value for key, value in self.headers.items()})
            if state.silent.is_set():
                state.released.wait(30)
            status = state.statuses.pop(0) if state.statuses else 200
            if status == 200:
                _take(state, self.path, body)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        state.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _take(state: Collector, path: str, body: bytes) -> None:
    if path.endswith("/v1/traces"):
        state.spans.extend(_spans(ExportTraceServiceRequest.FromString(body)))
    elif path.endswith("/v1/metrics"):
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for scope in resource.scope_metrics:
                state.metrics.update({metric.name: metric for metric in scope.metrics})


def _spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.kind,
                    span.status.code == 2,
                    attributes(span.attributes),
                    attributes(resource.resource.attributes),
                    tuple(link.span_id.hex() for link in span.links),
                )


def attributes(pairs: Any) -> dict[str, Any]:
    """Read attributes."""
    return {pair.key: _value(pair.value) for pair in _typed(pairs)}


def _typed(pairs: Any) -> list[KeyValue]:
    return list(pairs)


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None
