"""What a server asks of its client: taken, answered, and let go of."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from breakwater_contract.mcp import INTERNAL_ERROR, INVALID_REQUEST
from breakwater_runtime.backends.codec import messages
from breakwater_runtime.calls import Call, RpcError

logger = logging.getLogger(__name__)

QUESTIONS_MAX = 64
"""How many questions of a server may wait for an answer."""

Answer = Callable[[str, dict[str, Any] | None, Call | None], Awaitable[dict[str, Any]]]
"""Answers a question; the call is the one that it belongs to, where that is known."""


class Asker(Protocol):
    """A request of ours in whose course the server asks."""

    call: Call | None
    questions: set[asyncio.Task[None]]
    """What is asked in its course; whoever ends it ends them."""


class Questions:
    """The questions of one server that wait for an answer."""

    def __init__(self, backend: str, answer: Answer, write: Callable[[bytes], None]) -> None:
        """Answer by `answer`, and write the messages by `write`."""
        self._backend = backend
        self._answer = answer
        self._write = write
        self._tasks: dict[Any, asyncio.Task[None]] = {}
        self._closed = False

    def take(
        self, message_id: Any, method: str, params: dict[str, Any] | None, asker: Asker | None
    ) -> None:
        """Have a question answered."""
        if method == "ping":
            self._write(messages.answer(message_id, {}))
            return
        key = _hashable(message_id)
        if len(self._tasks) >= QUESTIONS_MAX or key in self._tasks:
            refusal = messages.refusal(message_id, INVALID_REQUEST, "too many questions at once")
            self._write(refusal)
            return
        task = asyncio.ensure_future(self._take(message_id, method, params, asker))
        self._tasks[key] = task
        if asker is not None:
            asker.questions.add(task)
            task.add_done_callback(asker.questions.discard)

    async def _take(
        self, message_id: Any, method: str, params: dict[str, Any] | None, asker: Asker | None
    ) -> None:
        call = asker.call if asker is not None else None
        try:
            answer = messages.answer(message_id, await self._answer(method, params, call))
        except RpcError as error:
            answer = messages.refusal(message_id, error.code, error.message, error.data)
        except Exception:
            logger.exception("a server's question failed", extra={"backend": self._backend})
            answer = messages.refusal(message_id, INTERNAL_ERROR, "Internal error")
        finally:
            self._tasks.pop(_hashable(message_id), None)
        if not self._closed:
            self._write(answer)

    def cancel(self, message_id: Any) -> None:
        """Let go of one: the server does not wait for it any more."""
        task = self._tasks.get(_hashable(message_id))
        if task is not None:
            task.cancel()

    def close(self) -> None:
        """Let go of all: there is nobody who waits for them."""
        self._closed = True
        for task in tuple(self._tasks.values()):
            task.cancel()


def _hashable(value: Any) -> Any:
    return (type(value), value) if isinstance(value, str | int | float | None) else repr(value)
