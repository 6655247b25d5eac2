"""The audit stream: security events under stable names, in the log and as a metric."""

import logging
from enum import Enum

from prometheus_client import Counter

logger = logging.getLogger("breakwater.audit")


class Event(Enum):
    """What is recorded; the names are part of the interface and do not change."""

    AUTHENTICATION_FAILED = "authentication.failed"
    PERMISSIVE_ENTRY = "authentication.permissive"
    RATE_LIMITED = "rate.limited"
    DENIED = "authorization.denied"
    SCOPE_MISSING = "authorization.scope_missing"
    ORIGIN_REFUSED = "origin.refused"
    HOST_REFUSED = "host.refused"
    CREDENTIAL_IN_URL = "credential.in_url"
    ADDRESS_REFUSED = "address.refused"
    HTTPS_REFUSED = "https.refused"
    HTTPS_REDIRECTED = "https.redirected"
    SESSION_STARTED = "session.started"
    SESSION_ENDED = "session.ended"
    SESSION_REFUSED = "session.refused"
    TOOL_CALLED = "tool.called"


class Audit:
    """Records security events; each line has the request's id and principal, as every line does."""

    def __init__(self, events: Counter) -> None:
        """Count in `events`."""
        self._events = events

    def record(self, event: Event, **facts: object) -> None:
        """Write one event, with facts that never contain a credential."""
        self._events.labels(event.value).inc()
        logger.info(event.value, extra={"event": event.value, **facts})
