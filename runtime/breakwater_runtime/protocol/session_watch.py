"""What is recorded of sessions: when they begin, and how they end."""

from typing import Literal

from breakwater_runtime.observability.audit import Audit, Event
from breakwater_runtime.observability.series import Histogram

End = Literal["client", "idle", "expired", "evicted", "handshake", "drain"]
"""Why a session ends: its client said so, nobody used it, its time was over, another one needed
its place, or it never began."""


class SessionWatch:
    """Records events of sessions; never an id, which is worth as much as a credential."""

    def __init__(self, audit: Audit, duration: Histogram) -> None:
        """Record in the audit stream and in `mcp_server_session_duration_seconds`."""
        self._audit = audit
        self._duration = duration

    def started(self, owner: str) -> None:
        """Record that a principal has one more."""
        self._audit.record(Event.SESSION_STARTED, owner=owner)

    def ended(self, owner: str, reason: End, seconds: float) -> None:
        """Record that it has ended."""
        self._duration.labels(reason).observe(seconds)
        self._audit.record(
            Event.SESSION_ENDED, owner=owner, reason=reason, duration=round(seconds, 3)
        )

    def refused(self) -> None:
        """Record that somebody asked for a session of somebody else."""
        self._audit.record(Event.SESSION_REFUSED)
