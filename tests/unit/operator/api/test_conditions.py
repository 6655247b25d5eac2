"""Conditions as they are written."""

from datetime import UTC, datetime, timedelta

import pytest

from breakwater_operator.api.conditions import Condition, ConditionType, Status, written
from breakwater_operator.api.reasons import Reason

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def ready(status: Status) -> Condition:
    return Condition(ConditionType.READY, status, Reason.READY, "as wished")


@pytest.mark.parametrize(
    ("status", "since"),
    [
        pytest.param("True", "2026-01-31T12:00:00Z", id="same"),
        pytest.param("False", "2026-01-31T13:00:00Z", id="turned"),
    ],
)
def test_the_time_moves_when_the_status_turns(status: Status, since: str) -> None:
    before = written([ready("True")], 1, (), NOON)

    after = written([ready(status)], 2, before, LATER)

    assert after[0]["lastTransitionTime"] == since
    assert after[0]["observedGeneration"] == 2


def test_every_reason_and_condition_has_a_meaning_for_the_reference() -> None:
    assert all(each.meaning.endswith(".") for each in (*Reason, *ConditionType))
    assert all(each.value.isalpha() for each in Reason)
