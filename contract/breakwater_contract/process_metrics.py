"""What the process shows of itself: processor, memory, event loop, pools, health, telemetry."""

from breakwater_contract.metric import SHORT_BUCKETS, Metric

CPU_TIME = Metric(
    "process_cpu_time_seconds",
    "counter",
    "Processor time that the process has used.",
    ("cpu_mode",),
    values={"cpu_mode": ("user", "system")},
    otel="process.cpu.time",
    older=("process_cpu_seconds_total",),
    sampled=True,
)
MEMORY = Metric(
    "process_memory_usage_bytes",
    "gauge",
    "Memory that the process has in use (resident).",
    otel="process.memory.usage",
    older=("process_resident_memory_bytes",),
    sampled=True,
)
OPEN_FILES = Metric(
    "process_unix_file_descriptor_count",
    "gauge",
    "File descriptors that are open.",
    otel="process.unix.file_descriptor.count",
    older=("process_open_fds",),
    sampled=True,
)
THREADS = Metric(
    "process_thread_count",
    "gauge",
    "Threads of the process.",
    otel="process.thread.count",
    older=("process_threads",),
    sampled=True,
)
UPTIME = Metric(
    "process_uptime_seconds",
    "gauge",
    "How long the process has run.",
    otel="process.uptime",
    older=("process_start_time_seconds",),
    sampled=True,
)

LOOP_LAG = Metric(
    "mcp_event_loop_lag_seconds",
    "histogram",
    "How much later than it should the event loop came to a timer, measured four times a second.",
    buckets=SHORT_BUCKETS,
    older=("nodejs_eventloop_lag_seconds",),
)
LOOP_BLOCKED = Metric(
    "mcp_event_loop_blocked",
    "counter",
    "Times that one piece of code held the event loop for half a second; the log names it.",
)

POOL_USED = Metric(
    "mcp_pool_used",
    "gauge",
    "Members of a pool that are at work: threads of synchronous tools, connections of a backend.",
    ("pool",),
    sampled=True,
)
POOL_OPEN = Metric(
    "mcp_pool_open",
    "gauge",
    "Members that a pool has, those at work among them.",
    ("pool",),
    sampled=True,
)
POOL_LIMIT = Metric(
    "mcp_pool_limit", "gauge", "Members that a pool may have.", ("pool",), sampled=True
)
POOL_WAITING = Metric(
    "mcp_pool_waiting",
    "gauge",
    "Callers that wait for a member of a pool to come free.",
    ("pool",),
    sampled=True,
)

HEALTH_CHECK = Metric(
    "mcp_health_check",
    "gauge",
    "What /health says, by check: 1 where all is well, 0 where something is wrong.",
    ("check",),
    sampled=True,
)
READY = Metric(
    "mcp_ready", "gauge", "Whether requests should come here: 1 or 0.", older=("up",), sampled=True
)

PROCESS_METRICS = (
    *(CPU_TIME, MEMORY, OPEN_FILES, THREADS, UPTIME, LOOP_LAG, LOOP_BLOCKED),
    *(POOL_USED, POOL_OPEN, POOL_LIMIT, POOL_WAITING, HEALTH_CHECK, READY),
)
