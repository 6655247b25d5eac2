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
from breakwater_runtime.protocol.session_watch import End, SessionWatch
from breakwater_runtime.protocol.sessions import SessionLimits
from breakwater_runtime.protocol.sharing import Sharing
from breakwater_runtime.protocol.ticker import Ticker
from breakwater_runtime.tools import gate

PARAMETER = "session_id"

WAITING_MAX = 1024
"""How many messages may wait for a client that does not read; then its stream ends."""

RETRY_SECONDS = 5

NOT_FOUND = (
    "There is no such session. GET /mcp/sse begins one, and says where to post; it ends with its "
    "stream."
)


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
        if self._ticker.is_long(now - self._written) and not self._lock.locked():
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
    owner: str
    began_at: float
    ends_at: float
    last_used: float
    end_reason: End | None = None
    """Why it takes no more messages; None: it does."""

    def end(self, reason: End) -> None:
        """Take no more messages; the stream ends once the calls have finished."""
        if self.end_reason is None:
            self.end_reason = reason
            self.stream.end()


class LegacySse:
    """Both endpoints of the transport, and the sessions between them."""

    def __init__(
        self,
        begin: Begin,
        sharing: Sharing,
        ticker: Ticker,
        *,
        limits: Callable[[], SessionLimits],
        watch: SessionWatch,
        is_open: Callable[[], bool],
        is_draining: Callable[[], bool],
    ) -> None:
        """Have conversations begun by `begin`; `sharing` makes their ids and knows others'."""
        self._begin = begin
        self._sharing = sharing
        self._ticker = ticker
        self._limits = limits
        self._watch = watch
        self._is_open = is_open
        self._is_draining = is_draining
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
        if self._is_draining():
            await self._hand_on(scope, receive, send)
            return
        if self._owned[principal.name] >= self._limits().per_principal:
            raise Refused(Problem.TOO_MANY_SESSIONS, retry_after=RETRY_SECONDS)
        stream = Stream(receive, send, self._ticker)
        session_id, session = self._start(principal, stream)
        conversation = session.conversation
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
            self._forget(session_id, session)
            await conversation.close()

    async def _hand_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have another pod begin the session; this one ends soon.

        Raises:
            Refused: None is known. The client asks again, and does not find us any more.
        """
        is_ours = Request.of(scope).forwarded
        if is_ours or not await self._sharing.hand_on(scope, receive, send):
            message = "This replica stops, and begins no sessions any more."
            raise Refused(Problem.SHUTTING_DOWN, message, retry_after=1)

    def _start(self, principal: Principal, stream: Stream) -> tuple[str, Session]:
        limits, now = self._limits(), asyncio.get_running_loop().time()
        session_id = self._sharing.ids.make(principal.name, limits.lifetime_seconds)
        conversation = self._begin(session_id, stream)
        ends_at = now + limits.lifetime_seconds
        session = Session(stream, conversation, principal.name, now, ends_at, now)
        self._sessions[session_id] = session
        self._owned[principal.name] += 1
        self._ticker.add(self)
        self._watch.started(principal.name)
        return session_id, session

    def _forget(self, session_id: str, session: Session) -> None:
        del self._sessions[session_id]
        self._owned[session.owner] -= 1
        if not self._owned[session.owner]:
            del self._owned[session.owner]
        seconds = asyncio.get_running_loop().time() - session.began_at
        self._watch.ended(session.owner, session.end_reason or "client", seconds)
        if not self._sessions:
            self._ticker.discard(self)

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one message of a client; the answer goes out over its stream.

        The request is answered at once, and its task goes on with the call: so it keeps its place
        among those in flight, and a drain waits for it.

        Raises:
            Refused: There is no such session, or the body is not a message.
        """
        session_id, principal = _session_id(scope), _principal(scope)
        session = self._sessions.get(session_id)
        if session is None and not Request.of(scope).forwarded:
            owner = self._sharing.way_to(session_id, principal.name)
            if owner is not None:
                await owner(scope, receive, send)
                return
        session = self._own(session, principal)
        message = await self._message(scope, receive)
        if message is None:
            return
        gate.admit(principal, message.method or "response")
        session.last_used = asyncio.get_running_loop().time()
        await body.accept(send)
        taken = session.conversation.take(message, dict(scope), principal)
        if message.method == LISTEN:  # it may go on for hours, and is bounded with its session
            self._ticker.spawn(taken)
        else:
            await taken

    def _own(self, session: Session | None, principal: Principal) -> Session:
        """Let a principal have its session; those of others do not exist for it.

        Raises:
            Refused: It has none of this id.
        """
        if session is not None and session.end_reason is None:
            if session.owner == principal.name:
                return session
            self._watch.refused()
        raise Refused(Problem.SESSION_NOT_FOUND, NOT_FOUND)

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
            session.end("drain")

    def tick(self, now: float) -> None:
        """Keep streams alive; end those whose time is over, and all once they are closed."""
        is_open, idle_seconds = self._is_open(), self._limits().idle_seconds
        for session in tuple(self._sessions.values()):
            if session.conversation.busy:
                session.last_used = now
            if not is_open:
                session.end("drain")
            elif now >= session.ends_at:
                session.end("expired")
            elif now - session.last_used >= idle_seconds:
                session.end("idle")
            session.stream.beat(now)


def _session_id(scope: Scope) -> str:
    given = parse_qs(scope["query_string"].decode("latin-1")).get(PARAMETER, [])
    return given[0] if len(given) == 1 else ""


def _principal(scope: Scope) -> Principal:
    principal = Request.of(scope).principal
    if principal is None:  # an endpoint without authentication in front: fail closed
        raise Refused(Problem.UNAUTHENTICATED)
    return principal
