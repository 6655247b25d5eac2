"""Children that are killed at any moment, under callers who ask all the time."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from breakwater_runtime.backends.container import ContainerBackend
from breakwater_runtime.calls import RpcError
from tests.support import children
from tests.support.children import Helper
from tests.unit.runtime import containers
from tests.unit.runtime.containers import eventually, text, tool

pytestmark = pytest.mark.process

CALLERS = 50
ANSWER_SECONDS_MAX = 2.0
"""How long a caller may wait for an answer, whatever happens to children."""


@dataclass
class Load:
    """Callers who ask all the time, each for itself."""

    backend: ContainerBackend
    answered: int = 0
    wrong: list[str] = field(default_factory=list)
    codes: set[str] = field(default_factory=set)
    slowest: float = 0.0
    lag: float = 0.0
    """How late this process itself was at worst: the machine may have other work."""

    async def call(self, number: int) -> None:
        """Ask once."""
        mine = f"{number}-{self.answered}"
        since = asyncio.get_running_loop().time()
        try:
            if await text(self.backend, tool("echo", text=mine, by=f"c{number}")) != mine:
                self.wrong.append(mine)
            self.answered += 1
        except RpcError as error:
            self.codes.add(error.data["code"])
        self.slowest = max(self.slowest, asyncio.get_running_loop().time() - since)

    async def go_on(self, number: int) -> None:
        """Ask for ever."""
        while True:
            await self.call(number)
            await asyncio.sleep(0.02)  # children need some of the machine too

    async def watch(self) -> None:
        """Measure how late this process is."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.05
            await asyncio.sleep(0.05)
            self.lag = max(self.lag, loop.time() - due)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ask meanwhile."""
        work = [asyncio.ensure_future(self.go_on(each)) for each in range(CALLERS)]
        work.append(asyncio.ensure_future(self.watch()))
        try:
            yield
        finally:
            for each in work:
                each.cancel()
            await asyncio.gather(*work, return_exceptions=True)


@pytest.fixture
def lean(tmp_path: Path) -> Iterator[Helper]:
    with children.helper(tmp_path, containers.LEAN) as helper:
        yield helper


@pytest.mark.requirement("A5")
@pytest.mark.parametrize(("isolation", "kills"), [("Shared", 100), ("PerPrincipal", 400)])
async def test_every_call_is_answered_right_and_soon_while_children_are_killed(
    lean: Helper, isolation: str, kills: int
) -> None:
    settings = {"isolation": isolation, "instances": {"max": CALLERS + 1}}
    async with containers.backend(lean, **settings) as backend:
        for number in range(CALLERS):  # first children may take as long as they take to start
            await text(backend, tool("echo", by=f"c{number}"))
        load = Load(backend)

        async with load.running():
            await _kill(load, lean, kills)

        assert not load.wrong
        assert load.answered > 0
        assert load.codes == {"SERVER_UNAVAILABLE"}
        assert load.slowest < ANSWER_SECONDS_MAX + load.lag
        for number in range(CALLERS):
            asked = partial(tool, "pid", by=f"c{number}")
            assert children.alive(int(await containers.insisted(backend, asked)))
        # A keeper and a command for each, and nothing besides.
        await eventually(lambda: len(lean.descendants()) <= 2 * backend.pools["instances"].open)
    await eventually(lambda: not lean.descendants())


async def _kill(load: Load, helper: Helper, times: int) -> None:
    """Kill commands and their keepers, whichever, at any moment once somebody was answered.

    One that never served anybody is waited for longer each time.
    """
    choose = random.Random(1)
    while times:
        answered = load.answered
        await eventually(lambda before=answered: load.answered > before, 60)
        await asyncio.sleep(choose.uniform(0, 0.05))
        with suppress(ProcessLookupError, IndexError):
            os.kill(choose.choice(helper.descendants()), signal.SIGKILL)
            times -= 1
