"""What a collector is sent, as bytes: spans by OpenTelemetry's encoder, metrics by our own.

Metrics are read from the one registry that scrapes read, so that both show the same.
"""

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.sdk.trace import ReadableSpan
from prometheus_client import Metric as Family
from prometheus_client.samples import Sample

from breakwater_contract.metric import SEMCONV_VERSION
from breakwater_runtime.observability.metrics import Metrics

SCOPE = "breakwater"
SCHEMA_URL = f"https://opentelemetry.io/schemas/{SEMCONV_VERSION}"

ATTRIBUTES = {
    "http_request_method": "http.request.method",
    "http_route": "http.route",
    "http_response_status_code": "http.response.status_code",
    "mcp_method_name": "mcp.method.name",
    "gen_ai_tool_name": "gen_ai.tool.name",
    "cpu_mode": "cpu.mode",
}
"""Labels whose attribute OpenTelemetry writes with dots."""

BEGAN = time.time_ns()


def spans(batch: Sequence[ReadableSpan], resource: Mapping[str, str]) -> bytes:
    """Encode spans."""
    request = encode_spans(batch)
    for each in request.resource_spans:
        each.resource.CopyFrom(_resource(resource))
    return bytes(request.SerializeToString())


def metrics(metrics: Metrics, resource: Mapping[str, str]) -> bytes:
    """Encode every metric of the registry as it is now."""
    scoped = pb.ScopeMetrics(
        scope=InstrumentationScope(name=SCOPE),
        metrics=list(_metrics(metrics)),
        schema_url=SCHEMA_URL,
    )
    each = pb.ResourceMetrics(resource=_resource(resource), scope_metrics=[scoped])
    return bytes(ExportMetricsServiceRequest(resource_metrics=[each]).SerializeToString())


def _metrics(metrics: Metrics) -> Iterator[pb.Metric]:
    now = time.time_ns()
    for family in metrics.registry.collect():
        described = metrics.catalogue[family.name]
        metric = pb.Metric(
            name=described.otel or family.name,
            description=family.documentation,
            unit=described.unit or "1",
        )
        if family.type == "histogram":
            metric.histogram.aggregation_temporality = pb.AGGREGATION_TEMPORALITY_CUMULATIVE
            metric.histogram.data_points.extend(_histograms(family, now))
        elif family.type == "counter":
            metric.sum.aggregation_temporality = pb.AGGREGATION_TEMPORALITY_CUMULATIVE
            metric.sum.is_monotonic = True
            metric.sum.data_points.extend(_numbers(family.samples, now))
        else:
            metric.gauge.data_points.extend(_numbers(family.samples, now))
        yield metric


def _numbers(samples: Iterable[Sample], now: int) -> Iterator[pb.NumberDataPoint]:
    for sample in samples:
        yield pb.NumberDataPoint(
            attributes=_attributes(sample.labels),
            start_time_unix_nano=BEGAN,
            time_unix_nano=now,
            as_double=sample.value,
        )


def _histograms(family: Family, now: int) -> Iterator[pb.HistogramDataPoint]:
    """Make one point of each series; Prometheus' buckets contain those before them."""

    def series(sample: Sample) -> list[tuple[str, str]]:
        return [pair for pair in sample.labels.items() if pair[0] != "le"]

    for labels, samples in groupby(family.samples, series):
        cumulative: list[tuple[float, float]] = []
        total = 0.0
        for sample in samples:
            if sample.name.endswith("_bucket"):
                cumulative.append((float(sample.labels["le"]), sample.value))
            elif sample.name.endswith("_sum"):
                total = sample.value
        counts = [int(count) for _, count in cumulative]
        yield pb.HistogramDataPoint(
            attributes=_attributes(dict(labels)),
            start_time_unix_nano=BEGAN,
            time_unix_nano=now,
            count=counts[-1],
            sum=total,
            explicit_bounds=[bound for bound, _ in cumulative[:-1]],
            bucket_counts=[
                count - before for before, count in zip([0, *counts], counts, strict=False)
            ],
        )


def _attributes(labels: Mapping[str, str]) -> list[KeyValue]:
    return [
        KeyValue(key=ATTRIBUTES.get(name, name), value=_value(name, value))
        for name, value in labels.items()
        if value
    ]


def _value(name: str, value: str) -> AnyValue:
    if name == "http_response_status_code" and re.fullmatch("[0-9]{3}", value):
        return AnyValue(int_value=int(value))
    return AnyValue(string_value=value)


def _resource(resource: Mapping[str, str]) -> Resource:
    return Resource(
        attributes=[
            KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in resource.items()
        ]
    )
