"""The metric catalogue: every series that either half exports, and nothing else may.

Names follow the MCP semantic conventions of OpenTelemetry where these have one; dashboards, rules
and the reference are made from this list.
"""

from breakwater_contract.metric import DURATION_BUCKETS, SHORT_BUCKETS, Metric
from breakwater_contract.process_metrics import PROCESS_METRICS
from breakwater_contract.python_metrics import PYTHON_METRICS
from breakwater_contract.telemetry_metrics import TELEMETRY_METRICS

REQUEST_DURATION = Metric(
    "http_server_request_duration_seconds",
    "histogram",
    "Time from a request to the last byte of its answer. `kind` tells calls of tools (`tool`) and "
    "streams (`stream`) from requests that have one answer (`unary`), whose latency is an SLI.",
    ("http_request_method", "http_route", "http_response_status_code", "kind", "outcome"),
    DURATION_BUCKETS,
    otel="http.server.request.duration",
    older=("http_requests_total", "http_request_duration_seconds"),
)
OVERHEAD = Metric(
    "mcp_overhead_seconds",
    "histogram",
    "Time of a request with one call of a tool that was not spent in the tool.",
    buckets=SHORT_BUCKETS,
)
FIRST_MESSAGE = Metric(
    "mcp_stream_first_message_seconds",
    "histogram",
    "Time from a request to the first event of the stream that answers it; calls of tools apart, "
    "whose streams begin when the tool has something to say.",
    buckets=DURATION_BUCKETS,
    older=("sse_time_to_first_event_seconds",),
)
STREAM_MESSAGES = Metric(
    "mcp_stream_messages",
    "counter",
    "Messages sent in streams.",
    sampled=True,
    older=("mcp_sse_messages_total", "sse_messages_sent_total"),
)
STREAM_BYTES = Metric(
    "mcp_stream_sent_bytes",
    "counter",
    "Bytes sent in streams, with what keeps them alive.",
    sampled=True,
    older=("mcp_sse_bytes_total", "sse_bytes_sent_total"),
)
HTTP_METRICS = (REQUEST_DURATION, OVERHEAD, FIRST_MESSAGE, STREAM_MESSAGES, STREAM_BYTES)

AUTHENTICATION = Metric(
    "mcp_authentication",
    "counter",
    "Requests by what came of their credentials.",
    ("outcome",),
    values={
        "outcome": (
            *("accepted", "missing", "conflicting", "unknown", "expired"),
            *("foreign", "unavailable", "limited", "permissive", "anonymous"),
        )
    },
    sampled=True,
)
ISSUER_FETCHES = Metric(
    "mcp_issuer_fetches",
    "counter",
    "Times that the OAuth issuer was asked for its public keys.",
    ("outcome",),
    values={"outcome": ("loaded", "failed")},
)
SECURITY_EVENTS = Metric(
    "mcp_security_events",
    "counter",
    "Events of the audit stream, by name.",
    ("event",),
    values={
        "event": (
            *("authentication.failed", "authentication.permissive", "rate.limited"),
            *("authorization.denied", "authorization.scope_missing"),
            *("origin.refused", "host.refused", "credential.in_url"),
            *("address.refused", "https.refused", "https.redirected"),
            *("session.started", "session.ended", "session.refused", "tool.called"),
        )
    },
)
ACCESS_METRICS = (AUTHENTICATION, ISSUER_FETCHES, SECURITY_EVENTS)

LIVE_RELOADS = Metric(
    "mcp_live_reloads",
    "counter",
    "Times that live settings were read, by whether they were taken over.",
    ("outcome",),
    values={"outcome": ("loaded", "refused")},
)
RUNTIME_INFO = Metric(
    "mcp_runtime", "info", "Version and revision of this process.", ("version", "revision")
)

CONNECTIONS = Metric("mcp_connections", "gauge", "Connections that are open on the public port.")
CONNECTIONS_LIMIT = Metric(
    "mcp_connections_limit",
    "gauge",
    "Connections beyond which requests are answered 503; worth an alert at 80 % of it.",
)
CUT = Metric(
    "mcp_cut",
    "counter",
    "Connections and requests that were ended before their time, by what they did.",
    ("reason",),
    values={
        "reason": (
            *("malformed", "version", "headers", "pipelined", "connections", "drain"),
            *("slow_headers", "slow_body", "slow_reader", "requests", "streams"),
        )
    },
)
IN_FLIGHT = Metric(
    "http_server_active_requests",
    "gauge",
    "Requests that are being answered.",
    otel="http.server.active_requests",
    older=("http_requests_in_flight", "http_active_requests"),
)
IN_FLIGHT_LIMIT = Metric(
    "mcp_requests_limit", "gauge", "Requests that are answered at the same time at most."
)
QUEUED = Metric("mcp_requests_queued", "gauge", "Requests that wait for others to be answered.")
STREAMS = Metric(
    "mcp_streams",
    "gauge",
    "Answers that are open as streams of events.",
    older=("mcp_sse_connections", "sse_active_connections"),
)
STREAMS_LIMIT = Metric(
    "mcp_streams_limit",
    "gauge",
    "Streams beyond which requests for one are answered 503; worth an alert at 80 % of it.",
)
NEAR_LIMIT = Metric(
    "mcp_near_limit",
    "gauge",
    "Whether 80 % of a limit are in use, 1 or 0; at 100 % requests are answered 503.",
    ("limit",),
    values={"limit": ("connections", "requests", "streams")},
)
RATE_LIMITED = Metric(
    "mcp_rate_limited",
    "counter",
    "Requests and calls that were refused because a token bucket was empty, by bucket.",
    ("bucket",),
    values={"bucket": ("principal", "tool", "replica")},
)
SHARED_CHARGES = Metric(
    "mcp_shared_rate_charges",
    "counter",
    "Charges to buckets that replicas share, by where they were counted: in the store (`shared`); "
    "while that was away, here (`local`), or nowhere, and let in (`allowed`) or not (`refused`).",
    ("counted",),
    values={"counted": ("shared", "local", "allowed", "refused")},
)
SHARED_ROUND_TRIP = Metric(
    "mcp_shared_rate_round_trip_seconds",
    "histogram",
    "Time until the store of shared rates answered; one question has the charges of many requests.",
    buckets=SHORT_BUCKETS,
)
SHARED_AWAY = Metric(
    "mcp_shared_rate_store_away",
    "gauge",
    "Whether the store of shared rates is configured and does not answer.",
)
LARGE_ANSWERS = Metric(
    "mcp_large_answer_bytes",
    "gauge",
    "Room that large answers have, of more than 256 KiB, until their clients have them.",
)
LARGE_ANSWERS_WAITING = Metric(
    "mcp_large_answers_waiting",
    "gauge",
    "Large answers that wait for room.",
)
FORWARDS = Metric(
    "mcp_forwards",
    "counter",
    "Requests that were passed on to the replica that has their session, by what became of them.",
    ("outcome",),
    values={"outcome": ("answered", "gone", "failed", "lost")},
)
DRAINING = Metric("mcp_draining", "gauge", "Whether the process was told to stop: 1 or 0.")

CERTIFICATE_LOADS = Metric(
    "mcp_certificate_loads",
    "counter",
    "Times that the certificate's files were read, by whether the pair was taken over.",
    ("outcome",),
    values={"outcome": ("loaded", "refused")},
)
CERTIFICATE_EXPIRES = Metric(
    "mcp_certificate_expiry_timestamp_seconds",
    "gauge",
    "When the certificate in use ends, in seconds since the epoch; 0 without TLS.",
)

LIMIT_METRICS = (
    CONNECTIONS,
    CONNECTIONS_LIMIT,
    CUT,
    IN_FLIGHT,
    IN_FLIGHT_LIMIT,
    QUEUED,
    STREAMS,
    STREAMS_LIMIT,
    NEAR_LIMIT,
    RATE_LIMITED,
    SHARED_CHARGES,
    SHARED_ROUND_TRIP,
    SHARED_AWAY,
    LARGE_ANSWERS,
    LARGE_ANSWERS_WAITING,
    DRAINING,
    CERTIFICATE_LOADS,
    CERTIFICATE_EXPIRES,
)

OPERATION_DURATION = Metric(
    "mcp_server_operation_duration_seconds",
    "histogram",
    "Time of one MCP request, by method, tool and what became of it.",
    ("mcp_method_name", "gen_ai_tool_name", "outcome"),
    DURATION_BUCKETS,
    otel="mcp.server.operation.duration",
    older=("mcp_tool_executions_total", "mcp_tool_duration_seconds", "mcp_requests_total"),
)
ACTIVE_CALLS = Metric(
    "mcp_active_tool_calls",
    "gauge",
    "Calls of tools that are being answered.",
    older=("mcp_tool_active_executions",),
)
SLOW_OPERATIONS = Metric(
    "mcp_slow_operations",
    "counter",
    "MCP requests that took longer than `monitoring.slow`; the log names each.",
    ("mcp_method_name", "gen_ai_tool_name"),
)
SESSIONS = Metric(
    "mcp_sessions", "gauge", "Sessions of older clients.", older=("mcp_active_sessions",)
)
SESSION_DURATION = Metric(
    "mcp_server_session_duration_seconds",
    "histogram",
    "How long sessions of older clients lasted, by why they ended.",
    ("reason",),
    (*DURATION_BUCKETS, 60.0, 300.0, 1800.0, 3600.0, 14_400.0),
    values={"reason": ("client", "idle", "expired", "evicted", "handshake", "drain")},
    otel="mcp.server.session.duration",
)
LOST_THREADS = Metric(
    "mcp_lost_threads",
    "gauge",
    "Synchronous tools that go on although nobody waits for them.",
)
CALL_METRICS = (
    *(OPERATION_DURATION, ACTIVE_CALLS, SLOW_OPERATIONS),
    *(SESSIONS, SESSION_DURATION, FORWARDS, LOST_THREADS),
)

RUNTIME_METRICS = (
    *CALL_METRICS,
    *LIMIT_METRICS,
    *ACCESS_METRICS,
    *HTTP_METRICS,
    LIVE_RELOADS,
    RUNTIME_INFO,
    *PROCESS_METRICS,
    *TELEMETRY_METRICS,
)

RECONCILE_DURATION = Metric(
    "breakwater_reconcile_duration_seconds",
    "histogram",
    "Time of one pass over one McpServer, by what came of it.",
    ("outcome",),
    DURATION_BUCKETS,
)
QUEUE_DEPTH = Metric("breakwater_queue_depth", "gauge", "McpServers that wait for a pass.")
QUEUE_AGE = Metric(
    "breakwater_queue_age_seconds",
    "gauge",
    "How long the McpServer that waits longest has waited, or the longest pass has run.",
)
API_REQUESTS = Metric(
    "breakwater_api_requests",
    "counter",
    "Requests to the Kubernetes API server.",
    ("verb", "kind", "code"),
)
PROBES = Metric(
    "breakwater_probes",
    "counter",
    "Handshakes with the servers' pods, by what came of them.",
    ("outcome",),
)
SERVER_HEALTH = Metric(
    "breakwater_server_health_checks",
    "counter",
    "Looks at a server, one every 30 s while pods of it are wanted: `healthy` where a pod that is "
    "ready answered the operator, `unreached` where one is ready and none answers, `unhealthy` "
    "where none is ready.",
    ("namespace", "mcpserver", "outcome"),
    values={"outcome": ("healthy", "unhealthy", "unreached")},
)
SERVER_FAILURES = Metric(
    "breakwater_server_health_failures",
    "gauge",
    "How many of these looks in a row, up to now, did not find the server healthy.",
    ("namespace", "mcpserver"),
)
LEADER = Metric(
    "breakwater_leader", "gauge", "Whether this replica of the operator leads: 1, or 0 if it waits."
)
PAUSED_SERVERS = Metric(
    "breakwater_paused_servers",
    "gauge",
    "McpServers of which nothing is written for now, as breakwater.dev/paused-until says.",
)
FAILING_SERVERS = Metric(
    "breakwater_failing_servers",
    "gauge",
    "McpServers whose last pass failed, since the API server refused or failed; it is tried again.",
)
INFORMER_AGE = Metric(
    "breakwater_informer_age_seconds",
    "gauge",
    "How long ago the API server last said anything of a kind; bookmarks come every minute.",
    ("kind",),
)

OPERATOR_METRICS = (
    RECONCILE_DURATION,
    QUEUE_DEPTH,
    QUEUE_AGE,
    API_REQUESTS,
    PROBES,
    SERVER_HEALTH,
    SERVER_FAILURES,
    LEADER,
    PAUSED_SERVERS,
    FAILING_SERVERS,
    INFORMER_AGE,
    *PYTHON_METRICS,
)
