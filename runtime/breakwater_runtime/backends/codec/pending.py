"""One request under way at a server."""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

from breakwater_runtime.backends.codec.messages import Result
from breakwater_runtime.calls import Call, RpcError

NOTES_MAX = 256
"""How many notifications wait for a caller that reads slowly; those beyond are dropped, since the
reader serves other callers too."""


class Pending:
    """Waits for a result, and hands notifications on in the meantime, in the order they came."""

    def __init__(self, call: Call | None, loop: asyncio.AbstractEventLoop) -> None:
        """Wait for what a caller asked, or for what we ask ourselves."""
        self.call = call
        self.since = loop.time()
        self._loop = loop
        self.written = False
        self.progress_token = token_of(call)
        self.result: Result | None = None
        self.error: RpcError | None = None
        self.questions: set[asyncio.Task[None]] = set()
        self._turn: asyncio.Future[None] = loop.create_future()
        self._notes: deque[tuple[str, Mapping[str, Any] | None]] = deque(maxlen=NOTES_MAX)

    @property
    def is_over(self) -> bool:
        """Whether there is a result, or an error."""
        return self.result is not None or self.error is not None

    def succeed(self, result: Result) -> None:
        """Take the result."""
        if not self.is_over:
            self.result = result
            self._wake()

    def fail(self, error: RpcError) -> None:
        """Take the error in place of it."""
        if not self.is_over:
            self.error = error
            self._wake()

    def note(self, method: str, params: Mapping[str, Any] | None) -> None:
        """Take a notification for the caller."""
        self._notes.append((method, params))
        self._wake()

    def _wake(self) -> None:
        if not self._turn.done():
            self._turn.set_result(None)

    async def wait_for(self, free: asyncio.Future[None]) -> None:
        """Wait until the server can be written to, or until nobody waits for this any more."""
        await asyncio.wait((free, self._turn), return_when=asyncio.FIRST_COMPLETED)

    async def wait(self) -> Result:
        """Wait for the result.

        Raises:
            RpcError: There is none.
        """
        while True:
            await self._turn
            if self._notes:
                await self._deliver()
            if self.error is not None:
                raise self.error
            if self.result is not None:
                return self.result
            self._turn = self._loop.create_future()

    async def _deliver(self) -> None:
        while self._notes and self.call is not None:
            method, params = self._notes.popleft()
            await self.call.channel.notify(method, params)

    def end(self) -> None:
        """Let go of what was asked on its behalf."""
        for question in self.questions:
            question.cancel()


def token_of(call: Call | None) -> str | int | None:
    """Get the progress token of a caller; None: it wants no progress."""
    meta = (call.params or {}).get("_meta") if call is not None else None
    token = meta.get("progressToken") if isinstance(meta, dict) else None
    return token if type(token) in {str, int} else None


def with_token(params: dict[str, Any] | None, token: int) -> dict[str, Any]:
    """Put a progress token of our own in the place of the caller's."""
    params = params or {}
    return {**params, "_meta": {**params["_meta"], "progressToken": token}}
