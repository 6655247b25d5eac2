"""stdio: the transport of a local client, which started the process and speaks over its streams.

One message in a line, in both eras, or a batch of 2025-03-26. There is no credential: who may start
the process may do all that it can do, and is a principal whose name the command line says.
Policies, rates, limits and the audit hold for it as for everybody.
"""

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from breakwater_runtime.calls import Principal, Problem, Refused, Request
from breakwater_runtime.observability.logs import CURRENT
from breakwater_runtime.protocol import framing
from breakwater_runtime.protocol.conversation import Begin, Message, Say, understand
from breakwater_runtime.protocol.dispatch import refused
from breakwater_runtime.protocol.eras import Era
from breakwater_runtime.protocol.standard_streams import Lines, StandardStreams

logger = logging.getLogger(__name__)

WAITING_MAX = 1024
"""How many messages that nobody asked for may wait for a client that does not read; more are
lost."""

LEAVING_SECONDS = 1.0
"""How long calls go on when nothing more comes: what was piped into us is answered, and a client
that waits for our end does not wait long."""

BATCH_MAX = 100
"""How many messages a batch may have, as over HTTP."""

NOTES_MAX = 64
"""How many notifications of the client are handled at the same time; more are lost."""


@dataclass(frozen=True, slots=True)
class LocalLimits:
    """What the client may do, at the moment."""

    message_bytes: Callable[[], int]
    in_flight: Callable[[], int]
    """Requests that are answered at the same time."""
    charge: Callable[[str], object]
    """Charges a request to a principal, or refuses it; what is shared has to be waited for."""


class LocalClient:
    """The client at the other end, and all that runs for it."""

    def __init__(
        self,
        begin: Begin,
        streams: StandardStreams,
        *,
        principal: str,
        limits: LocalLimits,
        new_id: Callable[[], str],
    ) -> None:
        """Have one conversation with it, begun by `begin`."""
        self._streams = streams
        self._principal = Principal(principal)
        self._limits = limits
        self._new_id = new_id
        self._lines = Lines(limits.message_bytes)
        self._conversation = begin(new_id(), self)
        self._requests: set[asyncio.Task[None]] = set()
        self._notes: set[asyncio.Task[None]] = set()
        self._saying: set[asyncio.Task[None]] = set()
        self._lock = asyncio.Lock()
        self._gone = asyncio.Event()
        self._deaf = False

    async def serve(self) -> None:
        """Answer it until it goes away; then everything that runs for it is cancelled."""
        self._streams.read_by(self._take)
        await self._gone.wait()
        if not self._deaf:
            await _ended(self._requests, LEAVING_SECONDS)
        await self._conversation.close()
        for task in (*self._requests, *self._notes):
            task.cancel()

    async def finish(self, seconds: float) -> None:
        """End its subscriptions, and let its calls end within so many seconds."""
        self._conversation.end_listening()
        await _ended(self._requests, seconds)
        for task in self._requests:
            task.cancel()
        await _ended(self._requests | self._saying, 1.0)

    # What it hears

    async def say(self, message: bytes) -> None:
        """Write a message, and wait while the client reads too slowly."""
        async with self._lock:
            if self._deaf:
                return
            try:
                await self._streams.write(message + b"\n")
            except OSError:
                self._deaf = True
                self._gone.set()

    def say_soon(self, message: bytes) -> None:
        """Write a message, sometime."""
        if len(self._saying) < WAITING_MAX:
            self._start(self._saying, self.say(message))

    # What it says

    async def _take(self, part: bytes) -> None:
        if not part:
            self._gone.set()
        for line in self._lines.feed(part):
            if line is None:
                message = f"A message has at most {self._limits.message_bytes()} bytes here."
                await self.say(refused(None, Refused(Problem.BODY_TOO_LARGE, message)))
            elif line.strip():
                await self._message(line)

    async def _message(self, line: bytes) -> None:
        message_id = None
        try:
            content = framing.parse(line)
            if type(content) is list:
                await self._batch(content)
                return
            if type(content) is dict and framing.is_id(content.get("id")):
                message_id = content["id"]
            message = understand(content)
            if message.is_request:
                await self._admit()
        except Refused as refusal:
            # An answer of the client that is none needs no answer in turn.
            if message_id is None or "method" in content:
                await self.say(refused(message_id, refusal))
            return
        if message.is_request:
            self._start(self._requests, self._handle(message))
        else:
            await self._note(message)

    async def _note(self, message: Message) -> None:
        if message.method is None or message.method == "notifications/cancelled":
            await self._handle(message)
        elif len(self._notes) < NOTES_MAX:
            self._start(self._notes, self._handle(message))

    async def _batch(self, contents: list[Any]) -> None:
        """Answer the messages of one line; 2025-03-26 alone had such.

        Raises:
            Refused: They cannot be one.
        """
        if not contents or not self._conversation.takes_batches:
            raise Refused(Problem.INVALID_MESSAGE)
        if len(contents) > BATCH_MAX:
            said = f"A batch may have {BATCH_MAX} messages at most."
            raise Refused(Problem.INVALID_MESSAGE, said)
        messages = [_part(content) for content in contents]
        requests = [message for message in messages if message.is_request]
        if requests:
            await self._admit()
        for message in messages:
            if not message.is_request:
                await self._note(message)
        if requests:
            self._start(self._requests, self._answers(requests))

    async def _answers(self, requests: list[Message]) -> None:
        """Answer requests together, each charged by itself."""
        answers: list[bytes] = []

        async def keep(answer: bytes) -> None:
            answers.append(answer)

        async def one(number: int, message: Message) -> None:
            try:
                if number:  # the first is paid for already
                    await self._charge()
            except Refused as refusal:
                await keep(refused(message.id, refusal))
                return
            await self._handle(message, keep)

        async with asyncio.TaskGroup() as together:
            for each in enumerate(requests):
                together.create_task(one(*each))
        if answers:
            await self.say(b"[%b]" % b",".join(answers))

    async def _admit(self) -> None:
        if len(self._requests) >= self._limits.in_flight():
            await self._written()
        if len(self._requests) >= self._limits.in_flight():
            raise Refused(Problem.OVERLOADED, retry_after=1)
        await self._charge()

    async def _charge(self) -> None:
        charged = self._limits.charge(self._principal.name)
        if inspect.isawaitable(charged):
            await charged

    async def _written(self) -> None:
        # A thread writes: the client may have an answer, and ask again, before we know that it was
        # written and its request is over.
        async with self._lock:
            pass
        await asyncio.sleep(0)

    async def _handle(self, message: Message, say: Say | None = None) -> None:
        request = Request(self._new_id(), self._principal, message.id, secure=True)
        scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "", "headers": []}
        request.bind(scope)
        token = CURRENT.set(request)
        try:
            await self._conversation.take(message, scope, self._principal, say)
        finally:
            CURRENT.reset(token)

    @staticmethod
    def _start(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def _part(content: Any) -> Message:
    """Check one message of a batch.

    Raises:
        Refused: It is none, or cannot be part of a batch.
    """
    message = understand(content)
    if message.era is Era.MODERN:
        raise Refused(Problem.INVALID_MESSAGE)
    if message.method == "initialize":
        raise Refused(Problem.INVALID_MESSAGE, "initialize cannot be part of a batch.")
    return message


async def _ended(tasks: set[asyncio.Task[None]], seconds: float) -> None:
    if tasks:
        await asyncio.wait(set(tasks), timeout=seconds)
