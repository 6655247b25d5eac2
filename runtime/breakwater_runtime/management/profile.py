"""`/profile`: where the process spends its time, for development.

Stacks of all threads are looked at some hundred times a second, from a thread of its own, and
counted. The answer has one line for each stack, outermost function first, as flame graphs are made
of: speedscope, flamegraph.pl and others read it.
"""

import asyncio
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from breakwater_runtime.calls import Problem, Refused

INTERVAL_SECONDS = 0.005
SECONDS = 5
SECONDS_MAX = 60
FRAMES_MAX = 64


class Profile:
    """Answers with what the process did meanwhile."""

    def __init__(self, may_see: Callable[[Scope], bool]) -> None:
        """Tell those whom `may_see` lets."""
        self._may_see = may_see
        self._running = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look for as long as `seconds` says, or until the client leaves.

        Raises:
            Refused: The client may not see it, asks for something else, or another one is looking.
        """
        if scope["method"] != "GET":
            raise Refused(Problem.METHOD_NOT_ALLOWED, headers={"allow": "GET"})
        if not self._may_see(scope):
            raise Refused(
                Problem.UNAUTHENTICATED, "An admin key or the operator's token is needed."
            )
        seconds = _seconds(scope)
        if self._running:
            raise Refused(Problem.OVERLOADED, "Somebody is profiling already.", retry_after=seconds)
        self._running = True
        ended = threading.Event()
        leaving = asyncio.create_task(_left(receive, ended))
        try:
            stacks = await asyncio.to_thread(_look, seconds, ended)
        finally:
            ended.set()
            leaving.cancel()
            self._running = False
        lines = "".join(f"{stack} {count}\n" for stack, count in stacks.most_common())
        await Response(lines, media_type="text/plain")(scope, receive, send)


def _seconds(scope: Scope) -> int:
    given = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    values = given.pop("seconds", [str(SECONDS)])
    text = values[0]
    if given or len(values) != 1:
        raise Refused(Problem.INVALID_PARAMETER, "The only parameter is seconds, once.")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= SECONDS_MAX):
        raise Refused(Problem.INVALID_PARAMETER, f"seconds: accepted are 1 to {SECONDS_MAX}.")
    return int(text)


async def _left(receive: Receive, ended: threading.Event) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    ended.set()


def _look(seconds: float, ended: threading.Event) -> Counter[str]:
    own, stacks = threading.get_ident(), Counter[str]()
    until = time.monotonic() + seconds
    while time.monotonic() < until and not ended.wait(INTERVAL_SECONDS):
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        for thread, frame in sys._current_frames().items():
            if thread != own:
                stacks[_stack(names.get(thread, str(thread)), frame)] += 1
    return stacks


def _stack(thread: str, innermost: FrameType) -> str:
    frames: list[str] = []
    frame: FrameType | None = innermost
    while frame is not None and len(frames) < FRAMES_MAX:
        code = frame.f_code
        frames.append(f"{code.co_qualname} ({Path(code.co_filename).name}:{frame.f_lineno})")
        frame = frame.f_back
    return ";".join([thread, *reversed(frames)]).replace("\n", " ")
