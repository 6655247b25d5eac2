"""What stands in the way of an apply is owned by it, or taken away where nobody owns it."""

from typing import Any

import pytest

from breakwater_operator.reconcile import managers

Object = dict[str, Any]

SELECTOR = {"matchLabels": {"breakwater.dev/server": "crm"}}
DESIRED: Object = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "spec": {"maxUnavailable": 1, "selector": SELECTOR},
}
AWAY = [
    {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
    {"op": "replace", "path": "/spec", "value": DESIRED["spec"]},
]
THEIRS: Object = {
    "manager": "them",
    "operation": "Update",
    "fieldsV1": {"f:spec": {"f:minAvailable": {}}},
}


def live(entries: list[Object] | None) -> Object:
    metadata = {"resourceVersion": "7"} | ({} if entries is None else {"managedFields": entries})
    return DESIRED | {"metadata": metadata, "spec": {"minAvailable": 1, "selector": SELECTOR}}


@pytest.mark.parametrize("entries", [None, []])
def test_what_nobody_is_known_to_have_written_is_taken_away_at_once(
    entries: list[Object] | None,
) -> None:
    assert managers.claiming(DESIRED, live(entries)) == AWAY


def test_what_somebody_has_written_is_owned_first() -> None:
    steps = managers.claiming(DESIRED, live([THEIRS]))

    assert {step["path"].rpartition("/")[0] for step in steps} == {"/metadata/managedFields"}
