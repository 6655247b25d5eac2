"""Large bodies take turns; nobody waits for one for ever."""

import asyncio

import pytest

from breakwater_runtime.http import body_turns
from breakwater_runtime.http.body_turns import AT_ONCE, BodyTurns

pytestmark = pytest.mark.requirement("T5")


async def test_one_more_waits_until_a_turn_is_given_back() -> None:
    turns = BodyTurns()
    assert all([await turns.take() for _ in range(AT_ONCE)])

    waiting = asyncio.create_task(turns.take())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    turns.give_back()

    assert await waiting


async def test_who_has_waited_long_goes_on_without_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_turns, "TURN_SECONDS", 0.05)
    turns = BodyTurns()
    for _ in range(AT_ONCE):
        await turns.take()

    assert not await turns.take()
