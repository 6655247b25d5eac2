"""How many requests are answered at the same time, and how many wait for it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from starlette.types import Scope

from breakwater_contract.limits import Limits
from breakwater_contract.names import MCP_PATH, ONE_SHOT_PATH
from breakwater_runtime.calls import Problem, Refused, Request

RETRY_SECONDS = 1
STREAM_RETRY_SECONDS = 10

LISTEN = b"subscriptions/listen"


class Places:
    """The places that requests and streams take."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self.active = 0
        """Requests that are being answered."""
        self.streams = 0
        """Answers that go on as streams."""

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    def enter_now(self, limits: Limits) -> bool:
        """Take a place; False: there is none at the moment."""
        if self.active < limits.in_flight:
            self.active += 1
            return True
        return False

    async def enter(self, limits: Limits) -> bool:
        """Take a place, first come first served; False: there was none in time."""
        if self.enter_now(limits):
            return True
        if len(self._waiting) >= limits.queue.length:
            return False
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        self._waiting.append(turn)
        late = loop.call_later(limits.queue.wait.seconds, self._give_up, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.leave(limits)  # the place came at the same moment
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise
        finally:
            late.cancel()

    def _give_up(self, turn: asyncio.Future[bool]) -> None:
        if not turn.done():
            self._waiting.remove(turn)
            turn.set_result(False)

    def leave(self, limits: Limits) -> None:
        """Give a place back, and hand out those that are free."""
        self.active -= 1
        while self._waiting and self.active < limits.in_flight:
            turn = self._waiting.popleft()
            if not turn.done():
                self.active += 1
                turn.set_result(True)

    def begin_stream(self, limits: Limits) -> bool:
        """Turn a place into a stream's; False: there are as many as may be."""
        if self.streams >= limits.streams:
            return False
        self.streams += 1
        self.leave(limits)
        return True


class InFlight:
    """Lets so many requests pass at once and has some others wait.

    An answer that turns into a stream of events gives its place back and counts as a stream
    instead: it may stay open for hours. While there are as many streams as may be, those who ask
    for one are refused, and a call whose answer becomes one keeps its place: it has its work done.
    """

    def __init__(
        self,
        *,
        limits: Callable[[], Limits],
        places: Places,
        count_cut: Callable[[str], None],
    ) -> None:
        """Hold requests to the limits of the moment; count by `count_cut` what was refused."""
        self._limits = limits
        self._places = places
        self._count_cut = count_cut

    def __call__(self, scope: Scope, request: Request) -> Awaitable[None] | None:
        """Let the request go on once there is a place for it, or refuse."""
        places, limits = self._places, self._limits()
        if places.streams >= limits.streams and _wants_stream(scope, request):
            raise self._refusal("streams", STREAM_RETRY_SECONDS)
        if places.enter_now(limits):
            self._entered(request)
            return None
        return self._wait(request, limits)

    async def _wait(self, request: Request, limits: Limits) -> None:
        if not await self._places.enter(limits):
            raise self._refusal("requests", RETRY_SECONDS)
        self._entered(request)

    def _entered(self, request: Request) -> None:
        request.streams = self._becomes_stream
        request.ends.append(self._leave)

    def _leave(self, request: Request) -> None:  # noqa: ARG002 - as Request has it
        self._places.leave(self._limits())

    def _becomes_stream(self, request: Request) -> None:
        """Let it count as a stream from now on, while there may be more of those."""
        if self._places.begin_stream(self._limits()):
            request.ends[request.ends.index(self._leave)] = self._end_stream

    def _end_stream(self, request: Request) -> None:  # noqa: ARG002 - as Request has it
        self._places.streams -= 1

    def _refusal(self, what: str, retry_after: int) -> Refused:
        self._count_cut(what)
        message = f"The server has as many {what} as it takes."
        return Refused(Problem.OVERLOADED, message, retry_after=retry_after)


def _wants_stream(scope: Scope, request: Request) -> bool:
    """Say whether nothing but a stream can answer a request."""
    is_get = scope["method"] == "GET" and scope["path"].startswith(MCP_PATH)
    return is_get or scope["path"] == ONE_SHOT_PATH or request.headers.get(b"mcp-method") == LISTEN
