"""An answer becomes an error that says what to do about it."""

import pytest

from breakwater_operator.kube.errors import from_answer


@pytest.mark.parametrize(
    ("status", "message", "is_refused", "is_conflict"),
    [
        pytest.param(403, "exceeded quota", True, False, id="quota"),
        pytest.param(422, "field is immutable", True, False, id="invalid"),
        pytest.param(409, "object was modified", False, True, id="stale"),
        pytest.param(
            422, "metadata.uid: Invalid value: x: field is immutable", False, True, id="replaced"
        ),
        pytest.param(500, "etcd", False, False, id="failure"),
        pytest.param(429, "slow down", False, False, id="busy"),
    ],
)
def test_what_only_a_person_mends_is_told_from_what_passes(
    status: int, message: str, is_refused: bool, is_conflict: bool
) -> None:
    error = from_answer("patch Service", status, {"message": message}, {})

    assert (error.refused, error.conflict) == (is_refused, is_conflict)
    assert str(error) == f"patch Service: {message}"


def test_history_that_is_gone_is_expired_and_not_refused() -> None:
    error = from_answer("watch Pod", 410, {"message": "too old", "reason": "Expired"}, {})

    assert error.expired
    assert not error.refused


def test_the_time_to_stay_away_is_kept() -> None:
    error = from_answer("list Pod", 429, "busy", {"retry-after": "3"})

    assert error.retry_after_seconds == 3.0


def test_a_namespace_that_ends_is_told_from_other_refusals() -> None:
    details = {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]}
    ending = from_answer("create Service", 403, {"message": "no", "details": details}, {})
    quota = from_answer("create Service", 403, {"message": "no", "details": {}}, {})

    assert ending.namespace_ending
    assert not quota.namespace_ending


@pytest.mark.parametrize(
    ("status", "body", "is_gone"),
    [
        pytest.param(404, "404 page not found", True, id="unknown"),
        pytest.param(
            403,
            {"reason": "Forbidden", "message": "x is forbidden: create not allowed while custom "
             "resource definition is terminating"},
            True,
            id="ending",
        ),
        pytest.param(404, {"reason": "NotFound", "message": "no x"}, False, id="no-object"),
        pytest.param(403, {"reason": "Forbidden", "message": "no"}, False, id="refused"),
    ],
)  # fmt: skip
def test_a_kind_that_is_gone_is_told_from_an_object_that_is(
    status: int, body: object, is_gone: bool
) -> None:
    assert from_answer("patch ServiceMonitor", status, body, {}).kind_gone is is_gone
