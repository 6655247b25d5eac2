"""The answer to one POST: JSON where that is enough, a stream of events where it is not."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from starlette.types import Receive, Send

from breakwater_runtime.backends.nowhere import Nowhere
from breakwater_runtime.protocol import framing, streams
from breakwater_runtime.protocol.ticker import Ticker

SILENT_SECONDS = 10.0
"""How long an answer may take before it becomes a stream, for those on the way who cut silence."""

_JSON = (b"content-type", b"application/json")


class Final:
    """What a POST is answered with in the end."""

    __slots__ = ("batch", "messages", "status")

    # By hand: what a dataclass makes is not compiled.
    def __init__(self, status: int, messages: Sequence[bytes], *, batch: bool = False) -> None:
        self.status = status
        self.messages = messages
        """JSON-RPC messages, one for each request in the body."""
        self.batch = batch


class Reply(Nowhere):
    """The way back for the calls of one POST.

    The work runs in the request's own task, since time-outs and task groups of a tool do not
    survive a change of task. What watches over it, the clock and the client's connection, begins
    only after a moment: most tools are done by then.
    """

    def __init__(self, receive: Receive, send: Send, ticker: Ticker) -> None:
        """Answer a request whose body has been read."""
        self._receive = receive
        self._send = send
        self._ticker = ticker
        self._task: asyncio.Task[Any] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._lock: asyncio.Lock | None = None
        self._since = 0.0
        self._begun = False
        self._finished = False
        self._cancelled = False
        self._gone = False
        self.headers: list[tuple[bytes, bytes]] = []

    async def notify(self, method: str, params: Mapping[str, Any] | None) -> None:
        """Send a notification; the answer is a stream from then on."""
        await self._say(notification(method, params))

    async def answer(self, work: Coroutine[Any, Any, Final]) -> None:
        """Do the work and answer with what comes of it.

        It is cancelled when the client goes away; then there is nobody to answer.
        """
        self._task = task = asyncio.current_task()
        self._ticker.watch_soon(self)
        try:
            final = await work
            self._finished = True
        except asyncio.CancelledError:
            self._finished = True
            if not self._cancelled or task is None:
                raise  # the process stops
            task.uncancel()
            final = Final(200, ())
        finally:
            self._unwatch()
        await self._finish(final)

    def cancel(self) -> None:
        """Stop the work; there will be no answer to it."""
        if self._task is not None and not self._finished and not self._cancelled:
            self._cancelled = True
            self._task.cancel()

    def watch(self) -> None:
        """Watch over the work: it waits for more than a moment."""
        loop = asyncio.get_running_loop()
        self._since = loop.time()
        self._ticker.add(self)
        self._watch = loop.create_task(self._watch_client())

    def _unwatch(self) -> None:
        self._ticker.done(self)
        if self._watch is not None:
            self._watch.cancel()
            self._ticker.discard(self)

    async def _watch_client(self) -> None:
        receive = self._receive
        while (await receive())["type"] != "http.disconnect":
            pass
        self._disconnected()

    def _disconnected(self) -> None:
        self._gone = True
        self.cancel()

    def tick(self, now: float) -> None:
        """Become a stream after a while, and keep it alive."""
        if self._lock is not None and self._lock.locked():
            return
        if not self._begun and now - self._since >= SILENT_SECONDS:
            self._ticker.spawn(self._say(None))
        elif self._begun and self._ticker.is_long(now - self._since):
            self._since = now
            self._ticker.spawn(self._write(streams.HEARTBEAT))

    async def _say(self, message: bytes | None) -> None:
        await self._write(b"" if message is None else streams.frame(message))

    async def _write(self, content: bytes, *, more: bool = True) -> None:
        """Write to the stream, and begin it where it has not begun."""
        if self._lock is None:
            self._lock = asyncio.Lock()
        async with self._lock:
            if not self._begun:
                await self._begin()
            self._since = asyncio.get_running_loop().time()
            await self._send(streams.body(content, more=more))

    async def _begin(self) -> None:
        self._begun = True
        await self._send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [*streams.HEADERS, *self.headers],
            }
        )

    async def _finish(self, final: Final) -> None:
        if self._gone:
            return
        if self._begun or self._cancelled:
            await self._write(b"".join(map(streams.frame, final.messages)), more=False)
        else:
            await self._finish_as_json(final)

    async def _finish_as_json(self, final: Final) -> None:
        content = b"[%b]" % b",".join(final.messages) if final.batch else final.messages[0]
        await self._send(
            {
                "type": "http.response.start",
                "status": final.status,
                "headers": [_JSON, (b"content-length", b"%d" % len(content)), *self.headers],
            }
        )
        await self._send({"type": "http.response.body", "body": content})


def notification(method: str, params: Mapping[str, Any] | None) -> bytes:
    """Make a notification."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        message["params"] = params
    return framing.dumps(message)
