"""Events tell what turned, and only that."""

import pytest

from breakwater_operator.reconcile.events import transitions


def conditions(**status: str) -> list[dict[str, str]]:
    return [
        {"type": kind, "status": value, "reason": f"{kind}Reason", "message": "why"}
        for kind, value in status.items()
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param({}, {"Ready": "False"}, [], id="not-ready-yet-goes-without-saying"),
        pytest.param({}, {"Ready": "True"}, [(True, "ReadyReason")], id="ready-at-last"),
        pytest.param({}, {"Accepted": "True", "Degraded": "False"}, [], id="nothing-is-wrong"),
        pytest.param({}, {"Accepted": "False"}, [(False, "AcceptedReason")], id="wrong-manifest"),
        pytest.param({"Ready": "True"}, {"Ready": "True"}, [], id="nothing-turned"),
        pytest.param({"Ready": "True"}, {"Ready": "False"}, [(False, "ReadyReason")], id="lost"),
        pytest.param({"Verified": "True"}, {"Verified": "Unknown"}, [], id="unknown-is-no-news"),
        pytest.param({"Progressing": "True"}, {"Progressing": "False"}, [], id="rollouts-are-not"),
    ],
)
def test_only_what_turned_is_told(
    before: dict[str, str], after: dict[str, str], expected: list[tuple[bool, str]]
) -> None:
    news = transitions(conditions(**before), conditions(**after))

    assert [(one.is_good, one.reason) for one in news] == expected


@pytest.mark.parametrize(("before", "after"), [("True", "False"), ("False", "True")])
def test_a_rollout_of_the_users_own_change_is_no_news(before: str, after: str) -> None:
    rolling = {"type": "Ready", "status": "False", "reason": "RollingOut", "message": "0 of 2"}
    ready = {"type": "Ready", "status": "True", "reason": "Ready", "message": "2 of 2"}
    states = {"True": ready, "False": rolling}

    assert transitions([states[before]], [states[after]]) == []


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param([], ["KeySecretMissing"], id="new"),
        pytest.param([("False", "RollingOut")], ["KeySecretMissing"], id="in-a-rollout"),
        pytest.param([("False", "PodsNotReady")], ["KeySecretMissing"], id="not-ready-before"),
        pytest.param([("False", "KeySecretMissing")], [], id="told-before"),
        pytest.param([("False", "KeySecretEmpty")], ["KeySecretMissing"], id="something-else"),
    ],
)
def test_what_somebody_has_to_make_is_told_also_of_who_was_not_ready(
    before: list[tuple[str, str]], expected: list[str]
) -> None:
    def ready(status: str, reason: str) -> dict[str, str]:
        return {"type": "Ready", "status": status, "reason": reason, "message": "why"}

    news = transitions([ready(*one) for one in before], [ready("False", "KeySecretMissing")])

    assert [one.reason for one in news] == expected
    assert not any(one.is_good for one in news)


@pytest.mark.parametrize("reason", ["KeySecretEmpty", "CertificateWrong", "KindMissing"])
def test_a_new_server_that_waits_for_somebody_is_told_of(reason: str) -> None:
    waits = {"type": "Ready", "status": "False", "reason": reason, "message": "why"}

    (told,) = transitions([], [waits])

    assert (told.is_good, told.reason) == (False, reason)
