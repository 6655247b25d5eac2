"""Large answers find room in turn; none has it for ever where others wait."""

import asyncio

import pytest

from breakwater_runtime.resilience import answer_room
from breakwater_runtime.resilience.answer_room import AnswerRoom, CrowdedError, Held

pytestmark = pytest.mark.requirement("T5", "G7")


def waits(room: AnswerRoom, backend: str, size: int) -> asyncio.Task[Held]:
    return asyncio.create_task(room.take(backend, size))


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_more_waits_until_there_is_room() -> None:
    room = AnswerRoom(10)
    first, second = await room.take("a", 6), await room.take("a", 4)

    waiting = waits(room, "a", 2)
    await settled()
    assert not waiting.done()
    second.shrink(2)
    await waiting
    assert room.used == 10

    first.leave()
    first.leave()
    assert room.used == 4


async def test_what_is_larger_than_all_room_gets_all_of_it() -> None:
    room = AnswerRoom(10)

    held = await room.take("a", 100)

    assert (held.size, room.used) == (10, 10)


async def test_what_is_smaller_and_later_does_not_go_first() -> None:
    room = AnswerRoom(10)
    held = await room.take("a", 8)
    large, small = waits(room, "a", 9), waits(room, "a", 1)
    await settled()
    assert not small.done()

    held.leave()
    await settled()

    assert large.done()
    assert small.done()


async def test_one_backend_of_several_has_half_and_holds_up_no_other() -> None:
    room = AnswerRoom(10, are_several=True)
    await room.take("a", 10)
    more = waits(room, "a", 1)
    await settled()

    other = waits(room, "b", 5)
    await settled()

    assert not more.done()
    assert other.done()
    more.cancel()


async def test_who_waits_for_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_room, "WAIT_SECONDS", 0.05)
    room = AnswerRoom(10)
    held = await room.take("a", 10)

    with pytest.raises(CrowdedError):
        await room.take("a", 1)

    assert room.waiting == 0
    held.leave()
    await room.take("a", 10)


async def test_who_leaves_the_line_holds_up_nobody() -> None:
    room = AnswerRoom(10)
    await room.take("a", 6)
    large, small = waits(room, "a", 6), waits(room, "a", 4)
    await settled()

    large.cancel()
    await settled()

    assert small.done()


async def test_who_leaves_just_as_it_is_his_turn_takes_nothing_along() -> None:
    room = AnswerRoom(10)
    held = await room.take("a", 10)
    waiting = waits(room, "a", 10)
    await settled()

    held.leave()
    waiting.cancel()
    await settled()

    assert room.used == 0


async def test_what_takes_long_is_cut_only_where_others_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answer_room, "HOLD_SECONDS", 0.0)
    monkeypatch.setattr(answer_room, "LOOK_SECONDS", 0.01)
    room, cut = AnswerRoom(10), list[str]()
    held = await room.take("a", 10)

    def end() -> None:
        cut.append("a")
        held.leave()

    held.cut = end
    await asyncio.sleep(0.05)
    assert not cut

    async with asyncio.timeout(60):
        await room.take("a", 10)
    assert cut == ["a"]
    assert held.late


async def test_of_what_is_there_already_no_more_waits_than_has_room() -> None:
    room = AnswerRoom(10)
    held = await room.take_whole("a", 10)
    waiting = asyncio.create_task(room.take_whole("a", 8))
    await settled()

    with pytest.raises(CrowdedError):
        await room.take_whole("a", 4)

    held.leave()
    await waiting
    assert room.used == 8
