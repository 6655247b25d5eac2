"""One request of ours under way at a server behind HTTP."""

from typing import TYPE_CHECKING

from breakwater_runtime.backends.codec.pending import token_of
from breakwater_runtime.calls import Call

if TYPE_CHECKING:
    import asyncio

    from breakwater_runtime.backends.codec.http.connection import Connection


class Exchange:
    """What is known of it."""

    def __init__(self, number: int, method: str, call: Call | None) -> None:
        """Ask something for a caller, or for ourselves."""
        self.number = number
        self.method = method
        self.call = call
        self.progress_token = token_of(call)
        self.questions: set[asyncio.Task[None]] = set()
        self.connection: Connection | None = None
        """What carries it; None: it has not been sent."""

    def end(self) -> None:
        """Let go of what was asked in its course."""
        for question in tuple(self.questions):
            question.cancel()

    def abort(self) -> None:
        """Do not wait for its answer any longer."""
        if self.connection is not None:
            self.connection.abort()
