"""How long a peer is waited for: not long in silence, longer while others hear from it."""

import asyncio

import pytest

from breakwater_runtime.protocol import patience
from breakwater_runtime.protocol.patience import Heard, Patience
from tests.support.pods import BOUND_SECONDS

SILENCE_SECONDS = 0.02


async def waited(heard: Heard) -> float:
    """Wait until it gives up; say after how long."""
    gave_up, begun = asyncio.Event(), asyncio.get_running_loop().time()
    Patience(heard, gave_up.set)
    async with asyncio.timeout(BOUND_SECONDS):
        await gave_up.wait()
    return asyncio.get_running_loop().time() - begun


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SILENCE_SECONDS", SILENCE_SECONDS)


async def test_a_silent_peer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "BUSY_SECONDS", float("inf"))

    assert await waited(Heard()) >= SILENCE_SECONDS


async def test_a_peer_that_answers_others_is_waited_for_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "BUSY_SECONDS", 10 * SILENCE_SECONDS)
    heard = Heard()
    heard.at = float("inf")

    assert await waited(heard) >= 10 * SILENCE_SECONDS


async def test_our_own_lag_is_not_held_against_the_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "OWN_LAG_SECONDS", -1)
    given_up = asyncio.Event()

    waiting = Patience(Heard(), given_up.set)
    await asyncio.sleep(5 * SILENCE_SECONDS)
    waiting.end()

    assert not given_up.is_set()


async def test_an_answer_in_time_ends_the_wait() -> None:
    given_up = asyncio.Event()

    Patience(Heard(), given_up.set).end()
    await asyncio.sleep(5 * SILENCE_SECONDS)

    assert not given_up.is_set()
