"""Turns of servers whose pods a newer operator renders otherwise."""

from breakwater_operator.reconcile.upgrades import AT_ONCE, Upgrades
from breakwater_operator.status import Rollout

GOING = Rollout(wanted=2, total=2, updated=1)
LATE = Rollout(wanted=2, total=3, updated=1, is_newest=True, is_seen=True, is_late=True)
DONE = Rollout(wanted=2, total=2, updated=2, ready=2, is_newest=True, is_seen=True, is_settled=True)

Key = tuple[str, str]


class Ground:
    """Turns, and who was told that one may have come."""

    def __init__(self, *begun: str) -> None:
        self.woken: list[str] = []
        self.upgrades = Upgrades(lambda key: self.woken.append(key[1]), lambda: map(key, begun))

    def may(self, *names: str) -> list[str]:
        """Who of these gets a turn."""
        return [name for name in names if self.upgrades.may(key(name))]

    def saw(self, name: str, rollout: Rollout) -> None:
        self.upgrades.saw(key(name), rollout)


def key(name: str) -> Key:
    return "team", name


def test_a_few_have_a_turn_and_keep_it_until_their_pods_are_there() -> None:
    ground = Ground()

    assert ground.may(*"abcde") == list("abc")
    ground.saw("a", GOING)

    assert AT_ONCE == 3
    assert ground.may(*"abcde") == list("abc")
    assert ground.woken == []


def test_the_end_of_one_is_the_turn_of_the_next() -> None:
    ground = Ground()
    ground.may(*"abcde")

    ground.saw("b", DONE)

    assert ground.woken == ["d"]
    assert ground.may("e", "d") == ["e"]


def test_one_that_wants_no_turn_any_more_keeps_nobody_waiting() -> None:
    ground = Ground()
    ground.may(*"abcde")
    ground.saw("a", DONE)

    ground.upgrades.leave(key("d"))

    assert ground.woken == ["d", "e"]


def test_one_that_fails_stops_all_until_it_is_mended() -> None:
    ground = Ground()
    ground.may(*"abcde")

    ground.saw("a", LATE)
    ground.saw("b", DONE)
    ground.saw("c", DONE)

    assert ground.woken == []
    assert ground.may("d", "a") == ["a"]

    ground.saw("a", DONE)

    assert set(ground.woken) == {"d", "e"}


def test_one_that_is_deleted_keeps_no_turn() -> None:
    ground = Ground()
    ground.may(*"abcd")
    ground.saw("a", LATE)

    ground.upgrades.forget(key("a"))

    assert ground.woken == ["d"]
    assert ground.may("d") == ["d"]


def test_turns_outlive_the_leader_that_gave_them() -> None:
    ground = Ground("x", "y")

    assert ground.may("a", "b", "y") == ["a", "y"]
