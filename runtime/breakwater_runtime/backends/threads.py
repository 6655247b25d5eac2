"""Threads for synchronous code: bounded, and none of them can hold the process back."""

import asyncio
import contextlib
import contextvars
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
from anyio._backends._asyncio import AsyncIOBackend
from anyio._core._eventloop import claim_worker_thread, threadlocals

from breakwater_runtime.backends.backend import PoolUse

THREADS_MAX = 40
"""How many synchronous functions run at once; as many as anyio allows."""

LOST_MAX = 200
"""How many may go on after their caller left before they count against the others."""

IDLE_SECONDS = 30.0


@dataclass(slots=True, eq=False)
class _Job:
    function: Callable[[], Any]
    answer: asyncio.Future[Any]
    context: contextvars.Context
    scope: anyio.CancelScope
    begun: bool = False


class Threads:
    """Runs synchronous functions.

    A function whose caller left is told to stop: `anyio.from_thread.check_cancelled()` raises in
    it. One that does not look goes on, is counted in `lost`, and makes room for another.
    """

    def __init__(self, limit: int = THREADS_MAX) -> None:
        """Run up to `limit` at once; others wait for their turn."""
        self._limit = limit
        self._waiting: deque[_Job] = deque()
        self._ready = threading.Condition()
        self._threads = 0
        self._idle = 0
        self.lost = 0
        """How many go on although nobody waits for them."""

    @property
    def use(self) -> PoolUse:
        """How many threads there are, and how many of them are at work."""
        with self._ready:
            limit = self._limit + min(self.lost, LOST_MAX)
            used = self._threads - self._idle
            return PoolUse(used, self._threads, limit, len(self._waiting))

    async def run(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """Run a function in a thread and wait for what it returns."""
        loop = asyncio.get_running_loop()
        job = _Job(
            partial(function, **arguments),
            loop.create_future(),
            contextvars.copy_context(),
            anyio.CancelScope(),
        )
        self._submit(job)
        try:
            return await job.answer
        except asyncio.CancelledError:
            self._abandon(job)
            raise

    def _submit(self, job: _Job) -> None:
        with self._ready:
            self._waiting.append(job)
            if self._idle >= len(self._waiting):
                self._ready.notify()
            elif self._threads < self._limit + min(self.lost, LOST_MAX):
                self._threads += 1
                name = "synchronous tool"
                threading.Thread(target=self._work, name=name, daemon=True).start()

    def _abandon(self, job: _Job) -> None:
        job.scope.cancel()
        with self._ready:
            if job.begun:
                self.lost += 1
            else:
                with contextlib.suppress(ValueError):
                    self._waiting.remove(job)

    def _work(self) -> None:
        while (job := self._next()) is not None:
            loop = job.answer.get_loop()
            # With the token, `anyio.from_thread` works here as it does in anyio's own threads.
            with claim_worker_thread(AsyncIOBackend, loop):
                self._do(job, loop)

    def _next(self) -> _Job | None:
        with self._ready:
            self._idle += 1
            found = self._ready.wait_for(lambda: self._waiting, timeout=IDLE_SECONDS)
            self._idle -= 1
            surplus = self._threads > self._limit + min(self.lost, LOST_MAX)
            if not found or surplus:
                self._threads -= 1
                return None
            job = self._waiting.popleft()
            job.begun = True
            return job

    def _do(self, job: _Job, loop: asyncio.AbstractEventLoop) -> None:
        threadlocals.current_cancel_scope = job.scope
        try:
            result, error = job.context.run(job.function), None
        except BaseException as raised:  # noqa: BLE001 - it is raised where the call is awaited
            result, error = None, raised
        finally:
            del threadlocals.current_cancel_scope
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends
            loop.call_soon_threadsafe(self._done, job, result, error)

    def _done(self, job: _Job, result: Any, error: BaseException | None) -> None:
        if job.answer.cancelled():
            with self._ready:
                self.lost -= 1
        elif isinstance(error, StopIteration):
            # A future cannot carry it.
            job.answer.set_exception(RuntimeError("the function raised StopIteration"))
        elif error is not None:
            job.answer.set_exception(error)
        else:
            job.answer.set_result(result)
