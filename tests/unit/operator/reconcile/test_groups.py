import asyncio

import pytest

from breakwater_operator.reconcile import groups
from breakwater_operator.reconcile.groups import SIZE, Groups
from breakwater_operator.reconcile.queue import MANY, Queue

A_WHILE = 0.02


async def test_a_group_begins_when_it_is_complete() -> None:
    held = Groups()
    first = [asyncio.create_task(held.join()) for _ in range(SIZE - 1)]
    await asyncio.sleep(A_WHILE)
    assert not any(one.done() for one in first)

    await asyncio.wait_for(held.join(), 5)

    await asyncio.wait_for(asyncio.gather(*first), 5)


async def test_too_few_begin_when_their_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "LONGEST_SECONDS", A_WHILE)
    held = Groups()

    await asyncio.wait_for(asyncio.gather(held.join(), held.join()), 5)


async def test_who_went_away_is_not_waited_for_and_does_not_count() -> None:
    held = Groups()
    gone = [asyncio.create_task(held.join()) for _ in range(SIZE - 1)]
    await asyncio.sleep(A_WHILE)
    for one in gone:
        one.cancel()
    await asyncio.gather(*gone, return_exceptions=True)

    left = asyncio.create_task(held.join())
    await asyncio.sleep(A_WHILE)

    assert not left.done()
    left.cancel()


async def test_where_many_changes_wait_their_passes_begin_together() -> None:
    queue = Queue()
    for number in range(MANY + 1):
        queue.add(("ns", f"s{number}"))
    first = [asyncio.create_task(queue.get()) for _ in range(SIZE - 1)]
    await asyncio.sleep(A_WHILE)
    assert not any(one.done() for one in first)

    await asyncio.wait_for(queue.get(), 5)

    await asyncio.wait_for(asyncio.gather(*first), 5)


async def test_few_changes_wait_for_nobody() -> None:
    queue = Queue()
    for number in range(MANY):
        queue.add(("ns", f"s{number}"))

    for _ in range(MANY):
        await asyncio.wait_for(queue.get(), groups.LONGEST_SECONDS / 2)
