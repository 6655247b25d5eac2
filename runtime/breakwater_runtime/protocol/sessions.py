"""Sessions of older clients: who is asked where, and what a lost connection has missed.

A session lives in one process. Its id tells every other pod of the server which one (see
`session_ids`), and they pass its requests on. Sessions are given only where a client could not be
served without.
"""

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from breakwater_contract import limits as contract
from breakwater_contract.mcp import INVALID_REQUEST
from breakwater_runtime.calls import Peer, Problem, Refused, RpcError
from breakwater_runtime.protocol.eras import PRIMED
from breakwater_runtime.protocol.questions import Questions, Say
from breakwater_runtime.protocol.reply import Reply, notification
from breakwater_runtime.protocol.session_watch import End, SessionWatch
from breakwater_runtime.protocol.streams import Budget, EventStream
from breakwater_runtime.protocol.ticker import Ticker

RETRY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How many sessions there may be, and what each may keep."""

    idle_seconds: float = 3600.0
    lifetime_seconds: float = 24 * 3600.0
    per_principal: int = 1000
    total: int = 10_000
    replay_bytes: int = 1024 * 1024
    replay_bytes_total: int = 64 * 1024 * 1024

    @classmethod
    def of(cls, limits: contract.Sessions) -> "SessionLimits":
        """Work them out."""
        return cls(
            limits.idle.seconds,
            limits.lifetime.seconds,
            limits.per_principal,
            limits.total,
            limits.replay.bytes,
            limits.replay_total.bytes,
        )


class Ids(Protocol):
    """Makes ids of sessions."""

    def make(self, principal: str, lifetime_seconds: float) -> str:
        """Make the id of a new session of a principal."""


class Session:
    """One client's session."""

    def __init__(self, session_id: str, owner: str, budget: Budget, ticker: Ticker) -> None:
        """Begin the session of the principal `owner`."""
        self.id = session_id
        self.owner = owner
        self.version = ""
        self.peer: Peer | None = None
        self.last_used = 0.0
        self.began_at = 0.0
        self.ends_at = 0.0
        """When it ends, however much it is used."""
        self.calls: dict[tuple[type, str | int], list[Reply]] = {}
        self._budget = budget
        self._ticker = ticker
        self._keys = itertools.count()
        self.questions = Questions()
        self._streams: dict[int, EventStream] = {}
        self._standalone: EventStream | None = None

    @property
    def busy(self) -> bool:
        """Whether something of it is under way."""
        return bool(self.calls) or (self._standalone is not None and self._standalone.attached)

    # The way to the client outside of any call: the stream that it opened by GET.

    @property
    def can_ask(self) -> bool:
        """Whether the client has a stream open for questions outside of its calls."""
        return self._standalone is not None

    async def notify(self, method: str, params: Mapping[str, Any] | None) -> None:
        """Send a notification that belongs to no call; lost where no stream was opened."""
        if self._standalone is not None:
            await self._say(notification(method, params))

    async def close_stream(self) -> None:
        """End the stream outside of calls; the client comes back for the rest of it."""
        if self._standalone is not None:
            await self._standalone.hand_over()

    async def _say(self, message: bytes) -> None:
        if self._standalone is not None:
            self._standalone.put(message)
            await self._standalone.flush()

    async def ask(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        timeout_seconds: float | None,
        say: Say | None = None,
    ) -> dict[str, Any]:
        """Ask the client by `say`, or outside of its calls, and wait for the result.

        Raises:
            RpcError: There is no way to the client, it answered with an error, or not in time.
        """
        if say is None and self._standalone is None:
            raise RpcError(INVALID_REQUEST, f"Cannot send {method!r}: the client opened no stream")
        say = say or self._say
        return await self.questions.ask(method, params, timeout_seconds, say)

    def cancel_call(self, message_id: Any) -> None:
        """Stop a call; with two of one id nobody knows which is meant, and both go on."""
        replies = (
            self.calls.get((type(message_id), message_id), []) if _hashable(message_id) else []
        )
        if len(replies) == 1:
            replies[0].cancel()

    def open_stream(self, cancel: Callable[[], None]) -> EventStream:
        """Make the stream of a call; the call is cancelled when nobody came back for it."""
        key = next(self._keys)

        def ends() -> None:
            cancel()
            if stream := self._streams.pop(key, None):
                stream.forget()

        stream = EventStream(key, self._budget, self._ticker, ends=ends)
        self._streams[key] = stream
        if self.version >= PRIMED:
            stream.prime()
        return stream

    def open_standalone(self) -> EventStream:
        """Make the stream for what belongs to no call.

        Raises:
            Refused: There is one.
        """
        if self._standalone is not None and self._standalone.attached:
            raise Refused(Problem.STREAM_TAKEN)
        if self._standalone is None:
            key = next(self._keys)
            self._standalone = self._streams[key] = EventStream(
                key, self._budget, self._ticker, ends=self._lose_standalone
            )
        return self._standalone

    def _lose_standalone(self) -> None:
        if self._standalone is not None:
            self._streams.pop(self._standalone.key, None)
            self._standalone.forget()
            self._standalone = None

    def find_stream(self, event_id: str) -> tuple[EventStream, int]:
        """Find the stream and the number of an event by its id.

        Raises:
            Refused: It is not known any more.
        """
        key, _, number = event_id.partition("-")
        stream = self._streams.get(int(key)) if key.isdecimal() and number.isdecimal() else None
        if stream is None or stream.has_lost(int(number)):
            raise Refused(Problem.INVALID_MESSAGE, "The stream of this Last-Event-ID has ended.")
        return stream, int(number)

    def end_streams(self) -> None:
        """End the stream outside of calls well; calls finish by themselves."""
        if self._standalone is not None:
            self._standalone.close()
            self._ticker.spawn(self._standalone.flush())

    def move_stream(self) -> None:
        """End the response that carries it, unless that goes through a peer, who stays."""
        stream = self._standalone
        if stream is not None and stream.attached and not stream.through_peer:
            self._ticker.spawn(stream.hand_over())

    def end(self) -> None:
        """Stop everything that belongs to it."""
        for replies in list(self.calls.values()):
            for reply in list(replies):
                reply.cancel()
        self.end_streams()
        for stream in list(self._streams.values()):
            if stream is not self._standalone:
                stream.forget()
        self._streams.clear()
        if self.peer is not None:
            self._ticker.spawn(self.peer.close())


class Sessions:
    """All sessions of this process."""

    def __init__(
        self,
        ids: Ids,
        ticker: Ticker,
        limits: Callable[[], SessionLimits],
        watch: SessionWatch | None = None,
    ) -> None:
        """Have none yet; hold them to the limits of the moment, and let `watch` know of each."""
        self._watch = watch
        self._ids = ids
        self._ticker = ticker
        self._limits = limits
        self._budget = Budget(lambda: limits().replay_bytes_total)
        # The one that was used last stands last.
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._owned: dict[str, int] = {}
        self._over: asyncio.Event | None = None

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._sessions

    def begin(self, owner: str) -> Session:
        """Make a session for a principal.

        Raises:
            Refused: There are too many, and none of them is idle.
        """
        limits = self._limits()
        if self._owned.get(owner, 0) >= limits.per_principal:
            self._evict(owner)
        if len(self._sessions) >= limits.total:
            self._evict(None)
        budget = Budget(lambda: self._limits().replay_bytes, self._budget)
        session_id = self._ids.make(owner, limits.lifetime_seconds)
        session = Session(session_id, owner, budget, self._ticker)
        session.began_at = asyncio.get_running_loop().time()
        session.ends_at = session.began_at + limits.lifetime_seconds
        self._sessions[session.id] = session
        self._owned[owner] = self._owned.get(owner, 0) + 1
        self._use(session)
        self._ticker.add(self)
        if self._watch is not None:
            self._watch.started(owner)
        return session

    def find(self, session_id: str, owner: str) -> Session:
        """Find a session of a principal; those of others do not exist for it.

        Raises:
            Refused: There is none.
        """
        session = self._sessions.get(session_id)
        if session is None or session.owner != owner:
            if session is not None and self._watch is not None:
                self._watch.refused()
            raise Refused(Problem.SESSION_NOT_FOUND)
        self._use(session)
        return session

    def end(self, session: Session, reason: End = "client") -> None:
        """End a session."""
        if self._sessions.pop(session.id, None) is None:
            return
        self._owned[session.owner] -= 1
        if not self._owned[session.owner]:
            del self._owned[session.owner]
        if not self._sessions:
            self._ticker.discard(self)
            if self._over is not None:
                self._over.set()
        if self._watch is not None:
            seconds = asyncio.get_running_loop().time() - session.began_at
            self._watch.ended(session.owner, reason, seconds)
        session.end()

    def end_streams(self) -> None:
        """End the streams outside of calls."""
        for session in self._sessions.values():
            session.end_streams()

    def move_streams(self) -> None:
        """Have clients come back for the streams outside of calls through another pod."""
        for session in self._sessions.values():
            session.move_stream()

    def end_all(self) -> None:
        """End every session."""
        for session in list(self._sessions.values()):
            self.end(session, "drain")

    async def over(self) -> None:
        """Wait until there is none."""
        self._over = asyncio.Event()
        if not self._sessions:
            self._over.set()
        await self._over.wait()

    def _use(self, session: Session) -> None:
        session.last_used = asyncio.get_running_loop().time()
        self._sessions.move_to_end(session.id)

    def _evict(self, owner: str | None) -> None:
        for session in self._sessions.values():
            if not session.busy and owner in {None, session.owner}:
                self.end(session, "evicted")
                return
        raise Refused(Problem.TOO_MANY_SESSIONS, retry_after=RETRY_SECONDS)

    def tick(self, now: float) -> None:
        """End sessions that nobody used for long, and those whose time is over."""
        for session in [each for each in self._sessions.values() if now >= each.ends_at]:
            self.end(session, "expired")
        idle_seconds = self._limits().idle_seconds
        while self._sessions:
            session = next(iter(self._sessions.values()))
            if now - session.last_used < idle_seconds:
                return
            if session.busy:
                self._use(session)
            else:
                self.end(session, "idle")


def _hashable(value: object) -> bool:
    return isinstance(value, str | int)
