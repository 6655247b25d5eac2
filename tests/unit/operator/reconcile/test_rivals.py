"""Another operator that looks after the same server, and one that merely came before."""

import json
from typing import Any

import pytest

from breakwater_operator.api.reasons import Reason
from breakwater_operator.kube.kinds import CONFIG_MAP
from breakwater_operator.reconcile.plan import Child
from breakwater_operator.reconcile.rivals import APART_SECONDS, CALM_SECONDS, TIMES, Rivals

CRM = ("team-a", "crm")


def settings(*kids: str) -> dict[str, Any]:
    text = json.dumps({"operatorKeys": [{"kid": kid} for kid in kids]})
    return {"metadata": {"name": "crm-live", "namespace": "team-a"}, "data": {"v1.json": text}}


OURS = settings("ours")
THEIRS = settings("theirs")


class Watched:
    """A server that somebody else writes, or not, and the time."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.rivals = Rivals(lambda: self.seconds)

    def passes(self, live: dict[str, Any] | None, *, after: float = 0.1) -> list[Reason]:
        """Make one pass that puts everything right."""
        self.seconds += after
        found = self.rivals.look(CRM, [Child(CONFIG_MAP, OURS, live)])
        self.rivals.answered(CRM)
        return [problem.reason for problem in found]


def test_who_undoes_ours_again_and_again_is_told_of_and_answered_seldom() -> None:
    crm = Watched()

    told = [crm.passes(THEIRS) for _ in range(TIMES + 1)]

    assert told == [[]] * TIMES + [[Reason.OPERATOR_CONTESTED]]
    assert crm.rivals.wait_seconds(CRM) == APART_SECONDS
    crm.seconds += APART_SECONDS
    assert crm.rivals.wait_seconds(CRM) == 0
    assert crm.passes(THEIRS) == [Reason.OPERATOR_CONTESTED]


def test_who_stops_is_forgotten() -> None:
    crm = Watched()
    for _ in range(TIMES + 1):
        crm.passes(THEIRS)

    assert crm.passes(OURS, after=APART_SECONDS) == [Reason.OPERATOR_CONTESTED]
    assert crm.passes(OURS, after=CALM_SECONDS) == []
    assert crm.rivals.wait_seconds(CRM) == 0
    assert crm.rivals.known == {}


@pytest.mark.parametrize(
    "live",
    [
        pytest.param(None, id="not-made-yet"),
        pytest.param(OURS, id="ours"),
        pytest.param(settings("older", "ours"), id="ours-before-a-rotation"),
        pytest.param(settings(), id="of-no-operator"),
        pytest.param(THEIRS | {"data": {"v1.json": "{"}}, id="spoiled"),
        pytest.param(THEIRS | {"data": {"v1.json": '{"operatorKeys": 7}'}}, id="spoiled-otherwise"),
        pytest.param(THEIRS | {"data": None}, id="empty"),
    ],
)
def test_what_anybody_else_writes_is_drift(live: dict[str, Any] | None) -> None:
    crm = Watched()

    assert [crm.passes(live) for _ in range(3 * TIMES)] == [[]] * 3 * TIMES
    assert crm.rivals.known == {}


def test_a_write_that_is_refused_again_and_again_is_no_contest() -> None:
    crm = Watched()

    for _ in range(3 * TIMES):
        crm.seconds += 10
        assert crm.rivals.look(CRM, [Child(CONFIG_MAP, OURS, THEIRS)]) == []


def test_one_operator_after_the_other_is_no_contest() -> None:
    crm = Watched()

    assert [crm.passes(THEIRS, after=86_400) for _ in range(3 * TIMES)] == [[]] * 3 * TIMES
