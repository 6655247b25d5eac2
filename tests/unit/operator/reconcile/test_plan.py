"""What is done to a child depends on whose it is and whether it is as it should be."""

from typing import Any

import pytest

from breakwater_operator.kube.kinds import CONFIG_MAP, CONTROLLER_REVISION
from breakwater_operator.reconcile import plan
from breakwater_operator.reconcile.plan import Child, Step

UID = "uid-1"
SERVER = {"metadata": {"creationTimestamp": "2026-01-31T08:00:00Z"}}
LABELS = {"app.kubernetes.io/managed-by": "breakwater", "breakwater.dev/server": "crm"}


def owner(uid: str = UID, name: str = "crm", kind: str = "McpServer") -> dict[str, Any]:
    return {
        "apiVersion": "breakwater.dev/v1alpha1",
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


DESIRED = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {
        "namespace": "team",
        "name": "crm-live",
        "labels": LABELS,
        "ownerReferences": [owner()],
    },
    "data": {"v1.json": "{}"},
}


def live(**changes: Any) -> dict[str, Any]:
    metadata = DESIRED["metadata"] | {"uid": "c", "resourceVersion": "7"}  # type: ignore[operator] # a literal
    return DESIRED | {"metadata": metadata | changes.pop("metadata", {})} | changes


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(None, Step.CREATE, id="missing"),
        pytest.param(live(), Step.KEEP, id="clean"),
        pytest.param(live(data={"v1.json": "x"}), Step.REPAIR, id="edited"),
        pytest.param(live(data={"v1.json": "{}", "x": ""}), Step.KEEP, id="empty-is-nothing"),
        pytest.param(live(data={"v1.json": "{}", "x": "y"}), Step.REPAIR, id="added"),
        pytest.param(live(metadata={"ownerReferences": []}), Step.ADOPT, id="orphan"),
        pytest.param(
            live(metadata={"ownerReferences": [], "labels": {}}), Step.LEAVE, id="foreign"
        ),
        pytest.param(
            live(metadata={"ownerReferences": [owner("u", "app", "App")]}), Step.LEAVE, id="owned"
        ),
        pytest.param(
            live(metadata={"ownerReferences": [owner("uid-0")]}), Step.WAIT, id="earlier-server"
        ),
        pytest.param(live(data={}, metadata={"deletionTimestamp": "now"}), Step.WAIT, id="going"),
        pytest.param(live(metadata={"deletionTimestamp": "now"}), Step.WAIT, id="clean-and-going"),
        pytest.param(live(data={"v1.json": "x"}, immutable=True), Step.REPLACE, id="immutable"),
    ],
)
def test_each_child_gets_what_its_state_asks_for(
    found: dict[str, Any] | None, expected: Step
) -> None:
    assert plan.step(Child(CONFIG_MAP, DESIRED, found), UID) is expected


@pytest.mark.parametrize(
    ("whose", "words"),
    [
        pytest.param(UID, "ConfigMap team/crm-live is being deleted; it is made anew", id="ours"),
        pytest.param("uid-0", "belongs to an earlier McpServer of this name and is", id="earlier"),
    ],
)
def test_a_child_that_is_waited_for_is_told(whose: str, words: str) -> None:
    going = live(metadata={"ownerReferences": [owner(whose)], "deletionTimestamp": "now"})

    wait = plan.ending(Child(CONFIG_MAP, DESIRED, going), UID)

    assert words in str(wait)


def test_what_is_no_longer_rendered_goes_and_old_revisions_stay() -> None:
    other = live(metadata={"name": "crm-old"})
    owned = [(CONFIG_MAP, live()), (CONFIG_MAP, other), (CONTROLLER_REVISION, other)]

    found = plan.surplus(owned, [Child(CONFIG_MAP, DESIRED, live())])

    assert [(child.kind, child.desired) for child in found] == [(CONFIG_MAP, other)]


def test_a_fingerprint_says_whether_a_repair_is_worth_another_try() -> None:
    before = plan.fingerprint(Child(CONFIG_MAP, DESIRED, live(data={"v1.json": "x"})))

    touched = live(data={"v1.json": "x"}, status={"a": 1}, metadata={"resourceVersion": "8"})
    assert plan.fingerprint(Child(CONFIG_MAP, DESIRED, touched)) == before
    edited = live(data={"v1.json": "y"})
    assert plan.fingerprint(Child(CONFIG_MAP, DESIRED, edited)) != before


def test_a_taken_name_is_told_with_what_to_do() -> None:
    found = live(metadata={"ownerReferences": [owner("u", "app", "App")]})

    message = plan.taken(Child(CONFIG_MAP, DESIRED, found)).message

    assert "ConfigMap team/crm-live belongs to App app" in message
    assert "rename or delete it" in message


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        pytest.param({}, True, id="made-with-the-server"),
        pytest.param({"creationTimestamp": "2026-01-31T07:59:59Z"}, False, id="older"),
        pytest.param({"ownerReferences": [owner()]}, False, id="owned"),
        pytest.param({"labels": {}}, False, id="of-somebody-else"),
        pytest.param({"deletionTimestamp": "2026-01-31T09:00:00Z"}, False, id="on-its-way-out"),
    ],
)
def test_what_was_to_outlive_a_server_is_left_of_that_one_alone(
    metadata: dict[str, Any], *, expected: bool
) -> None:
    found = {"ownerReferences": [], "creationTimestamp": "2026-01-31T08:00:00Z"} | metadata

    assert plan.is_left(live(metadata=found), DESIRED, SERVER) is expected
