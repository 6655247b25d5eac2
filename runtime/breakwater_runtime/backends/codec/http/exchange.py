"""One request of ours under way at a server behind HTTP."""

from typing import TYPE_CHECKING

from breakwater_runtime.backends.codec.messages import Result
from breakwater_runtime.backends.codec.pending import token_of
from breakwater_runtime.calls import Call, Request

if TYPE_CHECKING:
    import asyncio

    from breakwater_runtime.backends.codec.http.connection import Connection
    from breakwater_runtime.resilience.answer_room import Held


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
        self.held: Held | None = None
        """The room that its answer has; None: it is not large, as far as is known."""

    @classmethod
    def listening(cls, connection: "Connection") -> "Exchange":
        """Make one for what a server says by itself."""
        exchange = cls(0, "", None)
        exchange.connection = connection
        return exchange

    def end(self) -> None:
        """Let go of what was asked in its course."""
        for question in tuple(self.questions):
            question.cancel()

    def abort(self) -> None:
        """Do not wait for its answer any longer."""
        if self.connection is not None:
            self.connection.abort()

    def release(self) -> None:
        """Need no room for an answer."""
        if self.held is not None:
            self.held.leave()
            self.held = None

    def settle(self, result: Result | None) -> None:
        """Have a large answer keep its room until its client has it; None: there is none."""
        held, call = self.held, self.call
        if held is None:
            return
        request = Request.find(call.scope) if call is not None else None
        if result is None or request is None or request.is_over:
            held.leave()
            return
        held.shrink(len(result.raw))
        held.until_sent(request)
        request.answers_with_room += 1
