"""All that one client says over one pair of streams: HTTP+SSE and stdio, in both eras."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from breakwater_contract.mcp import INVALID_REQUEST, PROTOCOL_VERSION_META_KEY
from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.backends.nowhere import Nowhere
from breakwater_runtime.calls import Call, Peer, Principal, Problem, Refused, RpcError
from breakwater_runtime.protocol import eras, framing
from breakwater_runtime.protocol.dispatch import Dispatcher, failed, refused
from breakwater_runtime.protocol.eras import Era
from breakwater_runtime.protocol.questions import Questions
from breakwater_runtime.protocol.reply import notification

logger = logging.getLogger(__name__)

LISTEN = "subscriptions/listen"

LISTENING_MAX = 16
"""Subscriptions that one client may have at the same time; each says what it wants to hear."""


class Outlet(Protocol):
    """The stream to the client."""

    async def say(self, message: bytes) -> None:
        """Write a message, and wait while the client reads too slowly."""

    def say_soon(self, message: bytes) -> None:
        """Write a message, sometime; a client that does not read loses the stream."""


Say = Callable[[bytes], Awaitable[None]]
"""Takes the answer to a request."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was understood."""

    content: dict[str, Any]
    method: str | None
    """None: an answer."""
    params: dict[str, Any] | None
    id: str | int | None
    """None: no answer is wanted."""
    era: Era
    version: str = ""
    """Of today's era: the version that it says it is of."""

    @property
    def is_request(self) -> bool:
        """Whether it wants an answer."""
        return self.method is not None and self.id is not None


def understand(content: Any) -> Message:
    """Check that a body is one JSON-RPC message.

    Raises:
        Refused: It is not.
    """
    if type(content) is not dict:
        raise Refused(Problem.INVALID_MESSAGE)
    method, params, has_id = framing.checked(content)
    meta = params.get("_meta") if params else None
    is_modern = type(meta) is dict and PROTOCOL_VERSION_META_KEY in meta
    return Message(
        content,
        method,
        params,
        content["id"] if has_id else None,
        Era.MODERN if is_modern else Era.OLDER,
        str(meta[PROTOCOL_VERSION_META_KEY]) if is_modern and meta else "",
    )


class Exchange(Nowhere):
    """The way back for one call."""

    def __init__(
        self, conversation: "Conversation", message_id: str | int, say: Say, *, can_ask: bool
    ) -> None:
        """Answer by `say`; all else goes over the stream that all calls share."""
        self._id = message_id
        self._say = say
        self._conversation = conversation
        self._can_ask = can_ask
        self._cancelled = False
        self._task = asyncio.current_task()

    @property
    def can_ask(self) -> bool:
        """Whether the era has questions to clients."""
        return self._can_ask

    async def notify(self, method: str, params: Mapping[str, Any] | None) -> None:
        """Send a notification."""
        await self._conversation.outlet.say(notification(method, params))

    async def ask(
        self, method: str, params: Mapping[str, Any] | None, timeout_seconds: float | None
    ) -> dict[str, Any]:
        """Ask the client and wait for its result.

        Raises:
            RpcError: The era has no questions, or the client answered with an error.
        """
        if not self._can_ask:
            raise RpcError(INVALID_REQUEST, f"Cannot send {method!r}: the version has no requests")
        return await self._conversation.ask(method, params, timeout_seconds)

    def cancel(self) -> None:
        """Stop the call; there will be no answer to it."""
        if self._task is not None and not self._cancelled:
            self._cancelled = True
            self._task.cancel()

    async def finish(self, work: Awaitable[bytes]) -> None:
        """Do the work and send what comes of it, unless it is cancelled."""
        try:
            answer = await work
        except asyncio.CancelledError:
            if not self._cancelled or self._task is None:
                stopping = refused(self._id, Refused(Problem.SHUTTING_DOWN))
                self._conversation.outlet.say_soon(stopping)
                raise
            self._task.uncancel()
            return
        self._task = None
        await self._say(answer)


class Conversation:
    """One client's side of a transport that is two streams.

    Its calls run in the tasks of those who bring them, and end with the conversation. Two calls of
    one id at the same time each get an answer; which of them a cancellation means nobody knows, and
    both go on.
    """

    def __init__(
        self,
        conversation_id: str,
        outlet: Outlet,
        *,
        backend: Backend,
        dispatcher: Dispatcher,
    ) -> None:
        """Begin a conversation with whoever reads the outlet."""
        self.id = conversation_id
        self.outlet = outlet
        self._backend = backend
        self._dispatcher = dispatcher
        self._questions = Questions()
        self._calls: dict[tuple[type, str | int], list[Exchange]] = {}
        self._peer: Peer | None = None
        self._version = eras.BATCHES
        self._listening = 0
        self._ending = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def busy(self) -> bool:
        """Whether a call is running."""
        return bool(self._calls)

    @property
    def takes_batches(self) -> bool:
        """Whether it speaks the one revision with batches, or has not said which it speaks."""
        return self._version == eras.BATCHES

    # Outside of calls the client hears what its session is told.

    @property
    def can_ask(self) -> bool:
        """Whether the client has shaken hands, and so can be asked."""
        return self._peer is not None

    async def notify(self, method: str, params: Mapping[str, Any] | None) -> None:
        """Send a notification that belongs to no call."""
        await self.outlet.say(notification(method, params))

    async def ask(
        self, method: str, params: Mapping[str, Any] | None, timeout_seconds: float | None
    ) -> dict[str, Any]:
        """Ask the client and wait for its result.

        Raises:
            RpcError: It answered with an error, or not in time.
        """
        return await self._questions.ask(method, params, timeout_seconds, self.outlet.say)

    async def close_stream(self) -> None:
        """Do nothing: the client could not come back."""

    # What the client says

    async def take(
        self,
        message: Message,
        scope: dict[str, Any],
        principal: Principal,
        say: Say | None = None,
    ) -> None:
        """Do what an admitted message asks for.

        Args:
            message: The message.
            scope: What brought it, as ASGI describes it.
            principal: Who sent it: always the same one, but not always with the same scopes.
            say: Takes the answer; None: it goes out over the stream by itself.
        """
        if message.method is None:
            self._questions.answered(message.content)
        elif message.id is not None:
            call = self._call(message, scope, principal)
            await self._answer(message, call, say or self.outlet.say)
        elif message.method == "notifications/cancelled":
            self._cancel((message.params or {}).get("requestId"))
        elif message.era is Era.OLDER:
            await self._backend.note(self._call(message, scope, principal))

    async def _answer(self, message: Message, call: Call, say: Say) -> None:
        can_ask = message.era is Era.OLDER
        call.channel = exchange = Exchange(self, call.id, say, can_ask=can_ask)
        key = (type(call.id), call.id)
        self._calls.setdefault(key, []).append(exchange)
        self._quiet.clear()
        try:
            await exchange.finish(self._result(message, call))
        finally:
            self._calls[key].remove(exchange)
            if not self._calls[key]:
                del self._calls[key]
            if not self._calls:
                self._quiet.set()

    async def _result(self, message: Message, call: Call) -> bytes:
        try:
            if message.era is Era.MODERN:
                eras.check_served(eras.stated_version(message.params))
                if call.method == LISTEN:
                    return await self._listen(call)
            elif call.method == "initialize":
                return await self._shake_hands(call)
            _, answer = await self._dispatcher.answer(message.era, call)
        except RpcError as failure:
            _, answer = failed(message.era, call.id, failure)
        except Refused as refusal:
            answer = refused(call.id, refusal)
        except Exception:
            # What brought the message has been answered already: the client waits on this stream.
            logger.exception("request failed")
            answer = refused(call.id, Refused(Problem.INTERNAL))
        return answer

    async def _shake_hands(self, call: Call) -> bytes:
        if self._peer is None:
            self._peer = call.peer = self._backend.connect(self.id, self)
        _, answer = await self._dispatcher.answer(Era.OLDER, call)
        result = orjson.loads(answer).get("result")
        if result is not None:
            self._version = str(result["protocolVersion"])
        return answer

    async def _listen(self, call: Call) -> bytes:
        """Let the client hear what changes, until one side has enough."""

        def deliver(method: str, params: Mapping[str, Any] | None) -> None:
            self.outlet.say_soon(notification(method, params))

        if self._listening >= LISTENING_MAX:
            raise RpcError(INVALID_REQUEST, f"A client has {LISTENING_MAX} {LISTEN} at most")
        subscription = self._backend.listen(call, deliver)
        if subscription is None:
            _, answer = await self._dispatcher.answer(Era.MODERN, call)
            return answer
        self._listening += 1
        try:
            await self._ending.wait()
        finally:
            self._listening -= 1
            subscription.close()
        return framing.result(call.id, subscription.result)

    def _call(self, message: Message, scope: dict[str, Any], principal: Principal) -> Call:
        is_modern = message.era is Era.MODERN
        return Call(
            method=message.method or "",
            params=message.params,
            call_id="" if message.id is None else message.id,
            version=message.version if is_modern else self._version,
            principal=principal,
            scope=scope,
            channel=self,
            peer=None if is_modern else self._peer,
        )

    def _cancel(self, message_id: Any) -> None:
        meant = self._calls.get((type(message_id), message_id), ()) if _is_id(message_id) else ()
        if len(meant) == 1:
            meant[0].cancel()

    # The end

    def end_listening(self) -> None:
        """Tell those who listen that nothing more will come."""
        self._ending.set()

    async def quiet(self) -> None:
        """Wait until no call is running."""
        await self._quiet.wait()

    async def close(self) -> None:
        """Stop every call and let go of the session: the client is gone."""
        for exchanges in list(self._calls.values()):
            for exchange in list(exchanges):
                exchange.cancel()
        if self._peer is not None:
            peer, self._peer = self._peer, None
            await peer.close()


def _is_id(value: object) -> bool:
    return type(value) in {str, int}


Begin = Callable[[str, Outlet], Conversation]
"""Begins a conversation of an id with whoever reads an outlet."""
