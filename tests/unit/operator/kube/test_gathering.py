import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from breakwater_operator.kube.gathering import MANY_WRITES, REST_SECONDS, Gathering


class Loop:
    """An event loop of which we see when it rests."""

    def __init__(self) -> None:
        self.rests: list[float] = []
        self.gathering = Gathering(self.rests.append)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.gathering.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_it_rests_while_many_writes_are_under_way_and_no_longer() -> None:
    loop = Loop()

    async with loop.running():
        for _ in range(MANY_WRITES - 1):
            loop.gathering.began()
        await turns(50)
        assert not loop.rests

        loop.gathering.began()
        await turns(50)
        assert set(loop.rests) == {REST_SECONDS}
        assert len(loop.rests) >= 5

        loop.gathering.ended()
        before = len(loop.rests)
        await turns(50)

    assert len(loop.rests) == before


async def test_between_two_rests_there_are_turns_for_all_that_came() -> None:
    loop = Loop()
    steps: list[int] = []

    async def work() -> None:
        for _ in range(4):
            steps.append(len(loop.rests))
            await asyncio.sleep(0)

    async with loop.running():
        for _ in range(MANY_WRITES):
            loop.gathering.began()
        await turns(20)
        working = [asyncio.create_task(work()) for _ in range(3)]
        await asyncio.gather(*working)

    assert len(set(steps)) <= 2


async def test_it_may_be_many_again_and_again() -> None:
    loop = Loop()

    async with loop.running():
        for _ in range(3):
            before = len(loop.rests)
            for _ in range(MANY_WRITES):
                loop.gathering.began()
            await turns(20)
            for _ in range(MANY_WRITES):
                loop.gathering.ended()
            await turns(1)
            assert len(loop.rests) > before
