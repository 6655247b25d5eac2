"""How long a request may be with its backend: one timer for all of them."""

import asyncio
from collections.abc import Callable

from breakwater_runtime.calls import Problem, RpcError


class Deadline:
    """One request's, while a backend has it."""

    __slots__ = ("at", "passed", "task")

    def __init__(self, task: "asyncio.Task[object]", at: float) -> None:
        self.task = task
        self.at = at
        self.passed = False


class Deadlines:
    """Stops what takes too long.

    Most requests are done long before: what they pay is an entry, and the one timer looks at all.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        """Allow as long as `seconds` says when a request begins."""
        self._seconds = seconds
        self._running: dict[Deadline, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> Deadline | None:
        """Have the time of the current task run; None: it has none."""
        task = asyncio.current_task()
        if task is None:
            return None
        loop = task.get_loop()
        deadline = Deadline(task, loop.time() + self._seconds())
        self._running[deadline] = None
        if self._timer is None:
            self._timer = loop.call_at(deadline.at, self._look)
        elif deadline.at < self._timer.when():  # the limit has become less meanwhile
            self._timer.cancel()
            self._timer = loop.call_at(deadline.at, self._look)
        return deadline

    def end(self, deadline: Deadline | None) -> None:
        """Let it be."""
        if deadline is None:
            return
        del self._running[deadline]
        if deadline.passed:  # and what it stopped made something else of it
            deadline.task.uncancel()

    def judge(self, deadline: Deadline | None) -> None:
        """Say whose a cancellation is; nothing is said where it is somebody else's.

        Raises:
            RpcError: The time was up. As an error of JSON-RPC it finds its way in every form of
                answer, also where a stream has begun.
        """
        if deadline is None or not deadline.passed:
            return
        deadline.passed = False
        if deadline.task.uncancel():  # its client has left as well
            return
        answer = Problem.TIMEOUT.value
        raise RpcError(
            answer.rpc_code,
            answer.message,
            {"code": Problem.TIMEOUT.name, "hint": answer.hint, "retryable": answer.retryable},
        )

    def _look(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        for each in self._running:
            if each.at <= now and not each.passed:
                each.passed = True
                each.task.cancel()
        ahead = [each.at for each in self._running if each.at > now]
        if ahead:
            self._timer = loop.call_at(min(ahead), self._look)
