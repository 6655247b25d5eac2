"""Serve the fixture with the SDK's own transport: the oracle that the runtime is held against."""

import argparse
from itertools import count

# The one place besides the SDK itself where its transport serves: the oracle is what it does.
from mcp.server.streamable_http import (  # noqa: TID251 - as said above
    EventCallback,
    EventId,
    EventMessage,
    EventStore,
    StreamId,
)
from mcp_types import JSONRPCMessage

from tests.support.conformance.server import mcp


class Memory(EventStore):
    """Keeps every event of every stream, for clients that come back."""

    def __init__(self) -> None:
        self._events: dict[EventId, tuple[StreamId, JSONRPCMessage | None]] = {}
        self._ids = count(1)

    async def store_event(self, stream_id: StreamId, message: JSONRPCMessage | None) -> EventId:
        event_id = str(next(self._ids))
        self._events[event_id] = (stream_id, message)
        return event_id

    async def replay_events_after(
        self, last_event_id: EventId, send_callback: EventCallback
    ) -> StreamId | None:
        if last_event_id not in self._events:
            return None
        wanted, _ = self._events[last_event_id]
        later = [key for key in self._events if int(key) > int(last_event_id)]
        for event_id in later:
            stream_id, message = self._events[event_id]
            if stream_id == wanted and message is not None:
                await send_callback(EventMessage(message, event_id))
        return wanted


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", type=int)
    where.add_argument("--stdio", action="store_true", help="over standard streams")
    parser.add_argument("--stateless", action="store_true", help="no sessions for older clients")
    arguments = parser.parse_args()
    if arguments.stdio:
        mcp.run("stdio")
        return
    mcp.run(
        "streamable-http",
        port=arguments.port,
        stateless_http=arguments.stateless,
        event_store=None if arguments.stateless else Memory(),
        retry_interval=None if arguments.stateless else 100,
    )


if __name__ == "__main__":
    main()
