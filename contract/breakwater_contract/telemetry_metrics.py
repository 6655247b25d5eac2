"""What is known of telemetry itself: what was kept, what was lost, and what it cost."""

from breakwater_contract.metric import Metric

SPANS = Metric(
    "mcp_telemetry_spans",
    "counter",
    "Spans by what became of them: `sampled_out` were not wanted, `dropped` found no room, "
    "`failed` were not taken by the collector.",
    ("outcome",),
    values={"outcome": ("exported", "sampled_out", "dropped", "failed")},
    older=("otelcol_exporter_sent_spans",),
)
EXPORTS = Metric(
    "mcp_telemetry_exports",
    "counter",
    "Requests to the collector.",
    ("signal", "outcome"),
    values={"signal": ("traces", "metrics"), "outcome": ("exported", "failed")},
)
QUEUED_SPANS = Metric(
    "mcp_telemetry_queued_spans", "gauge", "Spans that wait to be sent.", sampled=True
)
COST = Metric(
    "mcp_telemetry_cpu_seconds",
    "counter",
    "Processor time that observation took: making a page of metrics, and sending traces and "
    "metrics to a collector.",
    ("part",),
    values={"part": ("page", "traces", "metrics")},
)
LOG_LINES = Metric(
    "mcp_log_lines",
    "counter",
    "Lines of the log, by level.",
    ("level",),
    values={"level": ("debug", "info", "warning", "error")},
)

TELEMETRY_METRICS = (SPANS, EXPORTS, QUEUED_SPANS, COST, LOG_LINES)
