"""A conversation over one stream of lines in each direction, for many callers at once.

Every request has a number of our own, and so has every progress token: whatever ids callers use,
an answer finds the one request that it belongs to.
"""

import asyncio
import logging
from typing import Any, Protocol

import orjson

from breakwater_runtime.backends.codec import eras, messages
from breakwater_runtime.backends.codec.greeting import DISCOVER, INITIALIZE, envelope
from breakwater_runtime.backends.codec.instance import Sinks, too_slow
from breakwater_runtime.backends.codec.messages import Result
from breakwater_runtime.backends.codec.pending import Pending, with_token
from breakwater_runtime.backends.codec.talk import (
    CANCELLED,
    MESSAGE,
    PROGRESS,
    SUBSCRIPTION_ID,
    Talk,
)
from breakwater_runtime.calls import Call, RpcError

logger = logging.getLogger(__name__)

GARBAGE_BYTES_MAX = 1024 * 1024
"""How much a server may write that is no message before it is taken for no MCP server."""

ALIVE_SECONDS = 5.0
"""How long a server that was told of a cancelled call may need to answer a ping."""


class Wire(Protocol):
    """What carries a conversation."""

    @property
    def busy(self) -> asyncio.Future[None] | None:
        """What ends once the server has read enough of what was written; None: it has."""

    def write(self, line: bytes) -> None:
        """Write a line, sometime."""

    def end(self, reason: str) -> None:
        """Stop the server at once: it does not behave."""

    def close(self) -> None:
        """Stop it gently."""


class Conversation(Talk):
    """One server, talked to by everybody who shares it."""

    def __init__(
        self, backend: str, wire: Wire, sinks: Sinks, *, timeout_seconds: float | None
    ) -> None:
        """Talk over `wire`; nothing has been said yet."""
        super().__init__(backend, sinks, wire.write, timeout_seconds)
        self._wire = wire
        self._pending: dict[int, Pending] = {}
        self._garbage = 0
        self._checking = False
        self._timer: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Stop the server gently."""
        self.end("it was stopped")
        self._wire.close()

    # Requests of ours

    async def request(
        self, method: str, params: dict[str, Any] | None, call: Call | None = None
    ) -> Result:
        """Ask the server, for a caller or for ourselves.

        Raises:
            RpcError: There is no result.
        """
        if self._lost.done():
            raise self._gone(executed=False)
        number, pending = next(self._numbers), Pending(call, self._loop)
        if pending.progress_token is not None:
            params = with_token(params, number)
        self._pending[number] = pending
        if call is not None:
            self.calls[number] = call
            if self._timer is None and self._timeout_seconds is not None:
                self._timer = self._loop.call_later(self._timeout_seconds, self._look)
        try:
            await self._read_up(pending)
            if pending.error is None:
                pending.written = True
                self._wire.write(messages.request(number, method, params))
            result = await pending.wait()
        except asyncio.CancelledError:
            self._cancel(number, pending, method)
            raise
        finally:
            del self._pending[number]
            if call is not None:
                del self.calls[number]
                self.last_used = self._loop.time()
            if pending.questions:
                pending.end()
        if call is not None:
            self.served = True
        return result

    async def _read_up(self, pending: Pending) -> None:
        """Wait until the server has read what was written, or until nobody waits for a request."""
        while pending.error is None and (busy := self._wire.busy) is not None:
            await pending.wait_for(busy)

    def _look(self) -> None:
        """End what takes too long: one timer for all, who began in turn and have the same time."""
        self._timer = None
        seconds = self._timeout_seconds or 0.0
        now = self._loop.time()
        for number, pending in self._pending.items():
            if pending.call is None or pending.is_over:
                continue
            if pending.since + seconds > now:
                self._timer = self._loop.call_at(pending.since + seconds, self._look)
                return
            self._cancel(number, pending, "")
            pending.fail(too_slow(self._backend, f"It took longer than {seconds:g} s."))

    def _cancel(self, number: int, pending: Pending, method: str) -> None:
        if self._lost.done() or not pending.written or method == INITIALIZE:
            return
        self._wire.write(
            messages.notification(
                CANCELLED, {"requestId": number, "reason": "the caller does not wait any longer"}
            )
        )
        if pending.call is not None and not self._checking:
            self._checking = True
            self._spawn(self._check_alive())

    async def _check_alive(self) -> None:
        """End a server that is stuck in what nobody waits for.

        One that goes on and yet answers cannot be told from one that stopped: neither answers the
        cancelled request.
        """
        ping = (DISCOVER, {"_meta": envelope({})}) if self.about.modern else ("ping", None)
        try:
            async with asyncio.timeout(ALIVE_SECONDS):
                await self.request(*ping)
        except TimeoutError:
            self._wire.end("it did not stop a call that nobody waited for")
        except RpcError:
            return
        finally:
            self._checking = False

    async def notify(self, method: str, params: dict[str, Any] | None) -> None:
        """Tell the server something."""
        if not self._lost.done():
            self._wire.write(messages.notification(method, params))

    # What the server writes

    def hear(self, line: bytes) -> bool:
        """Take one line; False: it answers nothing that was asked, so it may be one too many."""
        result = messages.result(line)
        if result is not None and isinstance(result.content, dict):
            pending = self._asked(result.number)
            if pending is not None:
                pending.succeed(result)
                self._garbage = 0
                return True
            return False
        try:
            message = orjson.loads(line)
        except orjson.JSONDecodeError:
            self._count_garbage(line)
            return False
        is_answer = False
        for each in message if type(message) is list else (message,):
            is_answer = self._hear(each, line) or is_answer
        return is_answer

    def _count_garbage(self, line: bytes) -> None:
        if not self._garbage:
            logger.warning(
                "a server writes what is no message",
                extra={"backend": self._backend, "bytes": len(line)},
            )
        self._garbage += len(line) + 1
        if self._garbage > GARBAGE_BYTES_MAX:
            self._wire.end("it writes to its standard output what is not MCP")

    def _hear(self, message: Any, line: bytes) -> bool:
        if type(message) is not dict or message.get("jsonrpc") != "2.0":
            self._count_garbage(line)
            return False
        method = message.get("method")
        if isinstance(method, str):
            params = message.get("params")
            given = params if isinstance(params, dict) else None
            if "id" in message:
                pending = self._only_call()
                self._questions.take(message["id"], method, given, pending)
            else:
                self._take_notification(method, given)
            return False
        number = messages.number_of(message.get("id"))
        pending = self._asked(number)
        if pending is None or number is None:
            return False
        self._garbage = 0
        outcome = messages.outcome(number, message)
        if isinstance(outcome, RpcError):
            pending.fail(outcome)
        else:
            pending.succeed(outcome)
        return True

    def _take_notification(self, method: str, params: dict[str, Any] | None) -> None:
        if method == PROGRESS:
            self._take_progress(params or {})
            return
        if method == CANCELLED:
            self._questions.cancel((params or {}).get("requestId"))
            return
        meta = (params or {}).get("_meta")
        subscription = meta.get(SUBSCRIPTION_ID) if isinstance(meta, dict) else None
        if subscription is not None:
            self._take_change(subscription, method, params or {})
            return
        if method == MESSAGE and (pending := self._only_call()) is not None:
            if pending.call is not None and eras.wants_logs(pending.call):
                pending.note(method, params)
            return
        self._sinks.event(self, method, params)

    def _take_progress(self, params: dict[str, Any]) -> None:
        pending = self._asked(messages.number_of(params.get("progressToken")))
        if pending is not None and pending.progress_token is not None:
            pending.note(PROGRESS, {**params, "progressToken": pending.progress_token})

    def _take_change(self, subscription: Any, method: str, params: dict[str, Any]) -> None:
        pending = self._asked(messages.number_of(subscription))
        if pending is None:
            return
        if pending.call is None:
            self._sinks.event(self, method, params)
            return
        meta = {**params["_meta"], SUBSCRIPTION_ID: pending.call.id}
        pending.note(method, {**params, "_meta": meta})

    def _only_call(self) -> Pending | None:
        """Find the one call under way: what the server says then can belong to no other."""
        return self._asked(self._only_number())

    def _asked(self, number: int | None) -> Pending | None:
        """Find a request by its number; what was not written yet, the server knows nothing of."""
        pending = self._pending.get(number) if number is not None else None
        return pending if pending is not None and pending.written else None

    # The end

    def end(self, reason: str) -> None:
        """Fail everything that waits: the server is gone."""
        if self._lost.done():
            return
        self._lost.set_result(reason)
        if self._timer is not None:
            self._timer.cancel()
        for pending in self._pending.values():
            pending.fail(self._gone(executed=pending.written))
        self._stop_work()
