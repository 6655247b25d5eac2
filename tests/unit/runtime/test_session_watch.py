"""What the audit stream says of sessions."""

import logging
from typing import Any

import pytest

from breakwater_contract.metrics import RUNTIME_METRICS, SECURITY_EVENTS, SESSION_DURATION
from breakwater_runtime.observability.audit import Audit
from breakwater_runtime.observability.metrics import Metrics
from breakwater_runtime.protocol.session_watch import SessionWatch
from breakwater_runtime.protocol.streamable_http import StreamableHttp
from tests.unit.runtime.asgi import Caller
from tests.unit.runtime.fakes import FakeBackend, FakeIds

CLIENT: dict[str, Any] = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "x"},
}


@pytest.mark.requirement("T8")
async def test_sessions_are_recorded_and_their_ids_are_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics = Metrics(RUNTIME_METRICS)
    watch = SessionWatch(
        Audit(metrics.counter(SECURITY_EVENTS)), metrics.histogram(SESSION_DURATION)
    )
    endpoint = StreamableHttp(FakeBackend(sessions=True), FakeIds(), session_watch=watch)
    alice, mallory = Caller(endpoint), Caller(endpoint, "mallory")

    with caplog.at_level(logging.INFO, "breakwater.audit"):
        begun = alice.older("initialize", **CLIENT)
        await begun.ended()
        session = begun.headers["mcp-session-id"]
        with pytest.raises(Exception, match="SESSION_NOT_FOUND"):
            await mallory.older("tools/list", 2, session).ended()
        await alice.send(
            "DELETE", mcp_session_id=session, mcp_protocol_version="2025-11-25"
        ).ended()

    events: list[dict[str, Any]] = [vars(record) for record in caplog.records]
    assert [each["event"] for each in events] == [
        *("session.started", "session.refused", "session.ended")
    ]
    assert events[2]["reason"] == "client"
    assert not [each for each in events if session in str(each)]
    value = metrics.registry.get_sample_value
    assert value("mcp_server_session_duration_seconds_count", {"reason": "client"}) == 1.0
