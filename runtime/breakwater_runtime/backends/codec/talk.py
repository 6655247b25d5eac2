"""What talking to a server comes to, whatever carries it: callers, questions, and an end."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

from breakwater_runtime.backends.codec.instance import About, Instance, Sinks, unavailable
from breakwater_runtime.backends.codec.questions import Questions
from breakwater_runtime.calls import Call, RpcError

CANCELLED = "notifications/cancelled"
PROGRESS = "notifications/progress"
MESSAGE = "notifications/message"
SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId"


class Talk(Instance):
    """One server, talked to by everybody who shares it."""

    def __init__(
        self,
        backend: str,
        sinks: Sinks,
        write: Callable[[bytes], None],
        timeout_seconds: float | None,
    ) -> None:
        """Answer what the server asks by `write`; nothing has been said yet."""
        self._backend = backend
        self._sinks = sinks
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._questions = Questions(backend, self._answer, write)
        self._lost: asyncio.Future[str] = self._loop.create_future()
        self.about = About("", False, {}, {})
        self.calls: dict[int, Call] = {}
        self.last_used = self._loop.time()
        self.served = False

    @property
    def lost(self) -> str | None:
        """Why it has ended; None: it has not."""
        return self._lost.result() if self._lost.done() else None

    async def wait_lost(self) -> str:
        """Wait until it has ended."""
        return await asyncio.shield(self._lost)

    async def _answer(
        self, method: str, params: dict[str, Any] | None, call: Call | None
    ) -> dict[str, Any]:
        return await self._sinks.asked(self, method, params, call)

    def _only_number(self) -> int | None:
        """Find the one call under way: what the server says then can belong to no other."""
        return next(iter(self.calls)) if len(self.calls) == 1 else None

    def _gone(self, *, executed: bool) -> RpcError:
        reason = self.lost or "it closed the connection before it had answered"
        message = f"The server of backend {self._backend} is gone: {reason}."
        return unavailable(self._backend, message, retryable=not executed)

    def _stop_work(self) -> None:
        """Stop what is done for a server that is gone."""
        for task in tuple(self._tasks):
            task.cancel()
        self._questions.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
