"""`/mcp/sse` and `/mcp/messages`: HTTP+SSE, the transport of 2024-11-05.

The client opens a stream, is told where to post, and gets every answer over the stream. Its session
ends with the stream, and everything that runs for it is cancelled then.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, quote

from starlette.types import Receive, Scope, Send

from breakwater_contract.names import MESSAGES_PATH
from breakwater_runtime.calls import Principal, Problem, Refused, Request
from breakwater_runtime.protocol import body, framing, headers, streams
from breakwater_runtime.protocol.conversation import (
    LISTEN,
    Begin,
    Conversation,
    Message,
    understand,
)
from breakwater_runtime.protocol.ticker import HEARTBEAT_SECONDS, Ticker

PARAMETER = "session_id"

WAITING_MAX = 1024
"""How many messages may wait for a client that does not read; then its stream ends."""

RETRY_SECONDS = 5


IDLE_SECONDS = 3600.0
"""How long a session may be without a message and without a call; then its stream ends."""

PER_PRINCIPAL = 1000
"""Sessions of one principal; all together are bounded as streams are."""


class Stream:
    """What one client reads: an outlet for its conversation."""

    def __init__(self, receive: Receive, send: Send, ticker: Ticker) -> None:
        """Write to the client of a request."""
        self._receive = receive
        self._send = send
        self._ticker = ticker
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._written = 0.0
        self._open = True
        self._over = asyncio.Event()

    async def begin(self, endpoint: str) -> None:
        """Begin the stream, and say where to post."""
        start = {"type": "http.response.start", "status": 200, "headers": streams.HEADERS}
        await self._send(start)
        await self._write(b"event: endpoint\ndata: %b\n\n" % endpoint.encode())

    async def say(self, message: bytes) -> None:
        """Write a message, and wait while the client reads too slowly."""
        await self._write(streams.frame(message))

    def say_soon(self, message: bytes) -> None:
        """Write a message, sometime; a client that does not read loses the stream."""
        if self._waiting >= WAITING_MAX:
            self._over.set()
            return
        self._waiting += 1
        self._ticker.spawn(self._say_now(message))

    async def _say_now(self, message: bytes) -> None:
        try:
            await self.say(message)
        finally:
            self._waiting -= 1

    async def _write(self, content: bytes, *, more: bool = True) -> None:
        async with self._lock:
            if not self._open:
                return
            self._open = more
            self._written = asyncio.get_running_loop().time()
            await self._send(streams.body(content, more=more))

    def beat(self, now: float) -> None:
        """Say something into a silence that proxies would cut."""
        if now - self._written >= HEARTBEAT_SECONDS and not self._lock.locked():
            self._ticker.spawn(self._write(streams.HEARTBEAT))

    def end(self) -> None:
        """Have the stream ended well."""
        self._over.set()

    async def until_over(self) -> bool:
        """Wait for one side to have enough; True: the client left."""
        leaving = asyncio.ensure_future(self._left())
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait({leaving, over}, return_when=asyncio.FIRST_COMPLETED)
            return leaving.done()
        finally:
            leaving.cancel()
            over.cancel()

    async def _left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def finish(self) -> None:
        """Write the end."""
        await self._write(b"", more=False)

    def lose(self) -> None:
        """Write nothing more: nobody reads it."""
        self._open = False


@dataclass(slots=True)
class Session:
    """One client's stream and what it says."""

    stream: Stream
    conversation: Conversation
    last_used: float
    ending: bool = False

    def end(self) -> None:
        """Take no more messages; the stream ends once the calls have finished."""
        self.ending = True
        self.stream.end()


class LegacySse:
    """Both endpoints of the transport, and the sessions between them."""

    def __init__(
        self,
        begin: Begin,
        new_id: Callable[[], str],
        ticker: Ticker,
        *,
        is_open: Callable[[], bool] = lambda: True,
    ) -> None:
        """Have conversations begun by `begin`, under ids made by `new_id`."""
        self._begin = begin
        self._new_id = new_id
        self._ticker = ticker
        self._is_open = is_open
        self._sessions: dict[str, Session] = {}
        self._owned: Counter[str] = Counter()

    def __len__(self) -> int:
        """Count the sessions."""
        return len(self._sessions)

    async def listen(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream of one client.

        Raises:
            Refused: The client takes no streams, or its principal has too many.
        """
        principal = _principal(scope)
        _, takes_events = headers.accepted(Request.of(scope).headers.get(b"accept", b"*/*"))
        if not takes_events:
            raise Refused(Problem.NOT_ACCEPTABLE, "Send Accept: text/event-stream.")
        if self._owned[principal.name] >= PER_PRINCIPAL:
            raise Refused(Problem.TOO_MANY_SESSIONS, retry_after=RETRY_SECONDS)
        session_id = self._new_id()
        stream = Stream(receive, send, self._ticker)
        conversation = self._begin(session_id, principal, stream)
        now = asyncio.get_running_loop().time()
        self._sessions[session_id] = Session(stream, conversation, now)
        self._owned[principal.name] += 1
        self._ticker.add(self)
        try:
            await stream.begin(f"{MESSAGES_PATH}?{PARAMETER}={quote(session_id, safe='')}")
            if await stream.until_over():
                stream.lose()
            else:
                conversation.end_listening()
                await conversation.quiet()
                await stream.finish()
        finally:
            stream.lose()
            self._forget(session_id, principal)
            await conversation.close()

    def _forget(self, session_id: str, principal: Principal) -> None:
        self._sessions.pop(session_id, None)
        self._owned[principal.name] -= 1
        if not self._owned[principal.name]:
            del self._owned[principal.name]
        if not self._sessions:
            self._ticker.discard(self)

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one message of a client; the answer goes out over its stream.

        The request is answered at once, and its task goes on with the call: so it keeps its place
        among those in flight, and a drain waits for it.

        Raises:
            Refused: There is no such session, or the body is not a message.
        """
        session = self._find(scope)
        message = await self._message(scope, receive)
        if message is None:
            return
        session.conversation.admit(message)
        session.last_used = asyncio.get_running_loop().time()
        await body.accept(send)
        taken = session.conversation.take(message, dict(scope))
        if message.method == LISTEN:  # it may go on for hours, and is bounded with its session
            self._ticker.spawn(taken)
        else:
            await taken

    def _find(self, scope: Scope) -> Session:
        """Find the session of a request; those of other principals do not exist for it."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get(PARAMETER, [])
        session = self._sessions.get(given[0]) if len(given) == 1 else None
        if (
            session is None
            or session.ending
            or session.conversation.principal.name != _principal(scope).name
        ):
            hint = "GET /mcp/sse begins a session, and says where to post; it ends with its stream."
            raise Refused(Problem.SESSION_NOT_FOUND, f"There is no such session. {hint}")
        return session

    async def _message(self, scope: Scope, receive: Receive) -> Message | None:
        if not headers.is_json(Request.of(scope).headers.get(b"content-type", b"")):
            raise Refused(Problem.UNSUPPORTED_MEDIA_TYPE)
        content = await body.read(receive)
        if content is None:
            return None
        parsed = framing.parse(content)
        request, message_id = Request.of(scope), None
        if type(parsed) is dict and framing.is_id(parsed.get("id")):
            message_id = request.message_id = parsed["id"]
        try:
            return understand(parsed)
        except Refused as refusal:
            refusal.message_id = message_id
            raise

    def end_streams(self) -> None:
        """Have every stream ended, once its calls have finished."""
        for session in tuple(self._sessions.values()):
            session.end()

    def tick(self, now: float) -> None:
        """Keep streams alive; end those that nobody used for long, and all once it is closed."""
        is_open = self._is_open()
        for session in tuple(self._sessions.values()):
            if session.conversation.busy:
                session.last_used = now
            idle = now - session.last_used >= IDLE_SECONDS
            if (idle or not is_open) and not session.ending:
                session.end()
            session.stream.beat(now)


def _principal(scope: Scope) -> Principal:
    principal = Request.of(scope).principal
    if principal is None:  # an endpoint without authentication in front: fail closed
        raise Refused(Problem.UNAUTHENTICATED)
    return principal
