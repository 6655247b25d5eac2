"""What is kept for clients that come back: bounded for a session and for all, the oldest go."""

import pytest
from starlette.types import Message

from breakwater_runtime.calls import Refused
from breakwater_runtime.protocol.sessions import Session
from breakwater_runtime.protocol.streams import Budget, EventStream
from breakwater_runtime.protocol.ticker import Ticker

pytestmark = pytest.mark.requirement("T5", "W7")

EACH, ALL = 10_000, 50_000
EVENT = b"x" * 4_000


class Server:
    """Sessions with one budget."""

    def __init__(self) -> None:
        self.all = Budget(lambda: ALL)
        self.sent: list[bytes] = []
        self.cancelled: list[EventStream] = []
        self.out = self.send  # a stream knows its response by this very object

    def session(self) -> Session:
        return Session("id", "alice", Budget(lambda: EACH, self.all), Ticker())

    def call(self, session: Session) -> EventStream:
        """Begin a call whose answer is a stream that a client reads."""
        stream = session.open_stream(lambda: self.cancelled.append(stream))
        stream.attach(self.out)
        return stream

    async def send(self, message: Message) -> None:
        self.sent.append(message["body"])


async def answered(server: Server, session: Session) -> EventStream:
    stream = server.call(session)
    stream.put(EVENT)
    stream.close()
    await stream.flush()
    return stream


async def test_one_session_keeps_no_more_than_its_bound_of_what_was_read() -> None:
    server = Server()
    session = server.session()

    first, *_, last = [await answered(server, session) for _ in range(20)]

    assert len(server.sent) == 20 * 2
    assert len(EVENT) < server.all.used <= EACH
    assert session.find_stream(f"{last.key}-0") == (last, 0)
    with pytest.raises(Refused, match="has ended"):
        session.find_stream(f"{first.key}-0")


async def test_all_sessions_together_keep_no_more_than_theirs() -> None:
    server = Server()
    sessions = [server.session() for _ in range(100)]

    streams = [await answered(server, each) for each in sessions]

    assert ALL - 2 * len(EVENT) < server.all.used <= ALL
    assert sessions[-1].find_stream(f"{streams[-1].key}-0") == (streams[-1], 0)
    with pytest.raises(Refused):
        sessions[0].find_stream(f"{streams[0].key}-0")


async def test_what_is_about_to_be_read_stays_however_full_it_is() -> None:
    server = Server()
    slow = server.call(server.session())
    slow.put(EVENT)
    for _ in range(100):
        await answered(server, server.session())

    await slow.flush()

    assert EVENT in server.sent[-1]
    assert server.cancelled.count(slow) == 0


async def test_a_call_of_a_client_that_is_away_ends_where_there_is_no_room() -> None:
    server = Server()
    session = server.session()
    away = server.call(session)
    away.detach(server.out)
    away.put(EVENT)
    for _ in range(100):
        await answered(server, server.session())

    assert away in server.cancelled
    with pytest.raises(Refused):
        session.find_stream(f"{away.key}-0")


async def test_an_answer_larger_than_the_bound_arrives_and_cannot_be_had_again() -> None:
    server = Server()
    session = server.session()
    stream = server.call(session)
    stream.prime()
    stream.put(EVENT * 5)
    await stream.flush()

    assert server.sent[-1].count(b"x") == len(EVENT) * 5
    assert server.all.used == 0
    assert stream.has_lost(0)
    assert not stream.has_lost(1)
