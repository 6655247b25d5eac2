"""What the Prometheus client shows of any process in Python: the operator's, under its names."""

from breakwater_contract.metric import Metric

_GENERATIONS = {"generation": ("0", "1", "2")}

PYTHON_METRICS = (
    Metric("process_cpu_seconds", "counter", "Processor time that the process has used."),
    Metric("process_resident_memory_bytes", "gauge", "Memory that the process has in use."),
    Metric("process_virtual_memory_bytes", "gauge", "Addresses that the process has set aside."),
    Metric(
        "process_start_time_seconds",
        "gauge",
        "When the process was started, in seconds since the epoch.",
    ),
    Metric("process_open_fds", "gauge", "File descriptors that are open."),
    Metric("process_max_fds", "gauge", "File descriptors that may be open."),
    Metric(
        "python",
        "info",
        "Which Python it is.",
        ("implementation", "major", "minor", "patchlevel", "version"),
    ),
    Metric(
        "python_gc_collections",
        "counter",
        "Times that Python looked for garbage, by the age of the objects.",
        ("generation",),
        values=_GENERATIONS,
    ),
    Metric(
        "python_gc_objects_collected",
        "counter",
        "Objects that were found to be garbage.",
        ("generation",),
        values=_GENERATIONS,
    ),
    Metric(
        "python_gc_objects_uncollectable",
        "counter",
        "Objects that are garbage and cannot be removed.",
        ("generation",),
        values=_GENERATIONS,
    ),
)
