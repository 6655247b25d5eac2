"""What one metric of the catalogue is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

SEMCONV_VERSION = "1.40.0"
"""The version of OpenTelemetry's semantic conventions whose names are used where it has one."""

DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds. Contains every threshold that a default objective has (0.1, 0.2, 0.5, 1, 2)."""

SHORT_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, *DURATION_BUCKETS)
"""Seconds, for what should take no time at all."""


@dataclass(frozen=True)
class Metric:
    """One series of the catalogue."""

    name: str
    """Its name as Prometheus shows it, without the suffix that a counter gets."""
    kind: Literal["counter", "gauge", "histogram", "info"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Every value of a label whose set is closed. A counter whose labels are all closed exists from
    the start, so that the first failure is an increase and not a new series."""
    otel: str = ""
    """Its name in OpenTelemetry's conventions; empty: these have none, and OTLP has ours."""
    older: tuple[str, ...] = ()
    """Names under which other servers and older systems have the same."""
    sampled: bool = False
    """Whether it is read when it is asked for, in place of being kept."""

    @property
    def unit(self) -> str:
        """Its unit as OpenTelemetry writes it; empty where it has none."""
        for suffix, unit in (("_seconds", "s"), ("_bytes", "By")):
            if self.name.endswith(suffix):
                return unit
        return ""
