"""What the kernel says of this process; read when somebody asks."""

import os
import time
from pathlib import Path

from breakwater_contract import process_metrics as catalogue
from breakwater_runtime.observability.metrics import Metrics
from breakwater_runtime.observability.series import Values

SELF = Path("/proc/self")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def watch(metrics: Metrics) -> None:
    """Have the process's own metrics read when they are asked for."""
    began = time.monotonic()
    metrics.sampled(catalogue.CPU_TIME, _cpu_time)
    metrics.sampled(catalogue.MEMORY, memory_bytes)
    metrics.sampled(catalogue.OPEN_FILES, lambda: _entries("fd"))
    metrics.sampled(catalogue.THREADS, lambda: _entries("task"))
    metrics.sampled(catalogue.UPTIME, lambda: time.monotonic() - began)


def _cpu_time() -> Values:
    times = os.times()
    return {("user",): times.user, ("system",): times.system}


def memory_bytes() -> int:
    """Get the memory that is in use; 0 where the system does not say."""
    try:
        resident = (SELF / "statm").read_text().split()[1]
    except OSError:  # no Linux
        return 0
    return int(resident) * PAGE_BYTES


def _entries(directory: str) -> int:
    try:
        return len(os.listdir(SELF / directory))  # noqa: PTH208 - names are enough
    except OSError:
        return 0
