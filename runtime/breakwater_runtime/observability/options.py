"""What is watched, as the settings of the moment say."""

from dataclasses import dataclass
from typing import Self

from breakwater_contract.monitoring import Monitoring


@dataclass(frozen=True, slots=True)
class Options:
    """The settings that each request is held against, read once."""

    slow_seconds: float = float("inf")
    audit_calls: bool = False
    log_requests: bool = False

    @classmethod
    def of(cls, monitoring: Monitoring) -> Self:
        """Read them."""
        return cls(monitoring.slow.seconds, monitoring.audit.calls, monitoring.log_requests)
