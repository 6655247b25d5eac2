"""Pods are asked when something changed, and left in peace otherwise."""

import asyncio
from typing import Any

import pytest

from breakwater_operator.probe import rounds as rounds_module
from breakwater_operator.probe.prober import HandshakeError, Target
from breakwater_operator.probe.rounds import FAILURES_MAX, Followed, Rounds
from breakwater_operator.status.facts import Probe, ServerInfo

KEY = ("ns", "crm")
INFO = ServerInfo("crm", "1", ("2026-07-28",), 3)


def pod(uid: str = "p", *, restarts: int = 0, is_ready: bool = True) -> Followed:
    return Followed(Target(uid, "198.18.0.1", "server-uid", KEY), restarts, is_ready)


class FakeProber:
    """Answers what a test says."""

    def __init__(self) -> None:
        self.answer = Probe(reached=True, live="one")
        self.asked = 0
        self.greeted = 0
        self.is_wrong = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def health(self, target: Target) -> Probe:
        del target
        self.asked += 1
        answer = self.answer
        await self.may_answer.wait()
        return answer

    async def handshake(self, target: Target) -> ServerInfo:
        del target
        self.greeted += 1
        if self.is_wrong:
            raise HandshakeError("/mcp answered 500 to server/discover")
        return INFO

    async def close(self) -> None:
        """There is nothing to close."""


def rounds(prober: FakeProber) -> tuple[Rounds, list[Any], list[str]]:
    told: list[Any] = []
    counted: list[str] = []
    return Rounds(prober, told.append, counted.append), told, counted


async def until(true: Any) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


async def test_the_first_answer_of_a_ready_pod_is_waited_for_and_wakes_nobody() -> None:
    prober = FakeProber()
    made, told, counted = rounds(prober)

    found = await made.follow(KEY, [pod()], "one")

    assert found["p"].server == INFO
    assert (told, counted) == ([], ["verified"])
    await made.close()


async def test_a_pod_that_says_nothing_new_is_not_greeted_again() -> None:
    prober = FakeProber()
    made, told, _ = rounds(prober)
    await made.follow(KEY, [pod()], "one")

    await made.follow(KEY, [pod(is_ready=False)], "one")
    await until(lambda: prober.asked == 2)

    assert prober.greeted == 1
    assert told == []
    await made.close()


async def test_a_restarted_container_is_greeted_again() -> None:
    prober = FakeProber()
    made, _, _ = rounds(prober)
    await made.follow(KEY, [pod()], "one")

    await made.follow(KEY, [pod(restarts=1)], "one")

    assert prober.greeted == 2
    await made.close()


async def test_new_settings_are_asked_for_until_they_are_loaded() -> None:
    prober = FakeProber()
    made, told, _ = rounds(prober)
    await made.follow(KEY, [pod()], "one")

    await made.follow(KEY, [pod()], "two")
    await until(lambda: prober.asked == 2)
    prober.answer = Probe(reached=True, live="two")
    await until(lambda: told == [KEY])

    found = await made.follow(KEY, [pod()], "two")
    assert found["p"].live == "two"
    assert prober.greeted == 2
    await made.close()


async def test_what_a_pod_takes_over_at_once_is_seen_without_the_usual_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rounds_module, "PENDING_SECONDS", 3600.0)
    prober = FakeProber()
    made, told, _ = rounds(prober)
    await made.follow(KEY, [pod()], "one")

    await made.follow(KEY, [pod()], "two")
    await until(lambda: prober.asked == 2)
    prober.answer = Probe(reached=True, live="two")

    await until(lambda: told == [KEY])
    await made.close()


async def test_a_wrong_answer_is_told_in_words() -> None:
    prober = FakeProber()
    prober.is_wrong = True
    made, _, counted = rounds(prober)

    found = await made.follow(KEY, [pod()], "one")

    assert found["p"].fault == "/mcp answered 500 to server/discover"
    assert found["p"].server is None
    assert counted == ["failed"]
    await made.close()


async def test_one_missed_answer_does_not_undo_what_a_pod_said() -> None:
    prober = FakeProber()
    made, told, _ = rounds(prober)
    await made.follow(KEY, [pod()], "one")
    prober.answer = Probe(reached=False, fault="no answer")

    for wish in ("two", "one", "two"):
        asked = prober.asked
        await made.follow(KEY, [pod()], wish)
        await until(lambda asked=asked: prober.asked > asked)
        if prober.asked < 1 + FAILURES_MAX:
            assert told == []

    await until(lambda: told == [KEY])
    await made.close()


async def test_a_pod_that_is_gone_is_not_asked_any_more() -> None:
    prober = FakeProber()
    made, _, _ = rounds(prober)
    await made.follow(KEY, [pod("a"), pod("b")], "one")

    found = await made.follow(KEY, [pod("b")], "one")

    assert set(found) == {"b"}
    await made.close()


async def test_settings_that_change_while_a_pod_is_asked_are_asked_for_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rounds_module, "PENDING_SECONDS", 3600.0)
    monkeypatch.setattr(rounds_module, "TAKEOVER_SECONDS", ())
    prober = FakeProber()
    made, told, _ = rounds(prober)
    await made.follow(KEY, [pod()], "one")
    prober.may_answer.clear()
    await made.follow(KEY, [pod()], "two")
    await until(lambda: prober.asked == 2)

    await made.follow(KEY, [pod()], "three")
    prober.answer = Probe(reached=True, live="three")
    prober.may_answer.set()

    await until(lambda: told == [KEY])
    assert prober.asked == 3
    await made.close()


async def test_pods_are_asked_until_their_server_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rounds_module, "HEALTH_SECONDS", 0.01)
    prober = FakeProber()
    made, _, _ = rounds(prober)
    await made.follow(KEY, [pod("a"), pod("b")], "one")
    await until(lambda: prober.asked >= 6)

    made.drop(KEY)
    asked = prober.asked
    await asyncio.sleep(0.1)

    assert prober.asked == asked
    await made.close()


async def test_a_pod_that_is_dropped_while_it_is_asked_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rounds_module, "HEALTH_SECONDS", 0.01)
    prober = FakeProber()
    made, told, _ = rounds(prober)
    await made.follow(KEY, [pod()], "one")
    prober.may_answer.clear()
    asked = prober.asked
    await until(lambda: prober.asked == asked + 1)

    made.drop(KEY)
    prober.may_answer.set()
    await asyncio.sleep(0.1)

    assert (prober.asked, told) == (asked + 1, [])
    await made.close()
