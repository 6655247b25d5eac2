"""What counts as drift, and what must be made anew."""

import copy
from pathlib import Path
from typing import Any

import pytest

from breakwater_operator.api.errors import SpecError
from breakwater_operator.render import drift, exclusive
from dev import golden

ROOT = Path(__file__).parents[4]
CASES = {case.path.rpartition("/")[2]: case for case in golden.cases(ROOT)}
CHILDREN = {
    (child["kind"], child["metadata"]["name"]): child for child in CASES["everything"].children()
}

MONITOR = next(key for key in CHILDREN if key[0] in {"ServiceMonitor", "PodMonitor"})

Object = dict[str, Any]


def live(kind: str, name: str) -> tuple[Object, Object]:
    """A child as it should be, and as it is: the same, with a version."""
    desired = CHILDREN[kind, name]
    found = copy.deepcopy(desired)
    found["metadata"] |= {"resourceVersion": "7", "uid": "x"}
    return desired, found


@pytest.mark.parametrize("key", CHILDREN)
def test_a_child_as_it_should_be_is_clean(key: tuple[str, str]) -> None:
    desired, found = live(*key)

    assert not drift.differs(desired, found)
    assert not drift.must_replace(desired, found)
    assert exclusive.foreign(desired, found) == []


def test_a_lost_item_differs() -> None:
    desired, found = live("Deployment", "crm-a")
    found["spec"]["template"]["spec"]["containers"][0]["env"].pop()

    assert drift.differs(desired, found)
    assert not exclusive.foreign(desired, found)


def test_labels_that_the_platform_no_longer_asks_for_differ() -> None:
    _, found = live(*MONITOR)
    desired = copy.deepcopy(found)
    del desired["metadata"]["labels"]["release"]
    del desired["metadata"]["annotations"]

    assert drift.differs(desired, found)


def test_labels_that_others_added_are_theirs() -> None:
    desired, found = live(*MONITOR)
    found["metadata"]["labels"]["theirs"] = "x"
    found["metadata"]["annotations"]["theirs"] = "x"

    assert not drift.differs(desired, found)
    assert not exclusive.foreign(desired, found)


def test_the_order_of_items_with_a_key_says_nothing() -> None:
    desired, found = live("Deployment", "crm-a")
    found["spec"]["template"]["spec"]["volumes"].reverse()

    assert not drift.differs(desired, found)
    assert not exclusive.foreign(desired, found)


def test_items_known_by_the_same_are_told_by_where_they_stand() -> None:
    desired, found = live("NetworkPolicy", "crm")
    twice = [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 443, "endPort": 500}]
    for policy in (desired, found):
        policy["spec"]["egress"][0]["ports"] = copy.deepcopy(twice)
    assert not drift.differs(desired, found)
    assert not exclusive.foreign(desired, found)

    found["spec"]["egress"][0]["ports"][0]["endPort"] = 9000
    assert exclusive.foreign(desired, found)
    found["spec"]["egress"][0]["ports"].pop(0)
    assert drift.differs(desired, found)


def test_an_added_variable_is_taken_away_with_the_container_as_it_should_be() -> None:
    desired, found = live("Deployment", "crm-a")
    containers = found["spec"]["template"]["spec"]["containers"]
    containers.insert(0, {"name": "proxy", "image": "p:1"})
    containers[1]["env"].append({"name": "X", "value": "y"})

    patch = exclusive.foreign(desired, found)

    assert patch == [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
        {
            "op": "replace",
            "path": "/spec/template/spec/containers/1",
            "value": desired["spec"]["template"]["spec"]["containers"][0],
        },
    ]


def test_what_others_added_to_is_said_by_what_it_is_known_by() -> None:
    desired, found = live("Deployment", "crm-a")
    found["spec"]["paused"] = True
    found["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "X", "value": "y"})

    assert exclusive.spoiled(desired, found) == [
        ("spec", "paused"),
        ("spec", "template", "spec", "containers", {"name": "runtime"}),
    ]


def test_only_what_others_added_to_is_put_right() -> None:
    desired, found = live("Service", "crm")
    found["spec"]["externalIPs"] = ["198.18.0.9"]

    _, *steps = exclusive.foreign(desired, found)

    assert steps == [{"op": "remove", "path": "/spec/externalIPs"}]


@pytest.mark.parametrize(
    ("key", "change"),
    [
        pytest.param(("Secret", "crm-live"), {"type": "kubernetes.io/tls"}, id="type"),
        pytest.param(("Secret", "crm-live"), {"immutable": True, "data": {}}, id="sealed-secret"),
        pytest.param(
            ("ConfigMap", "crm-live"), {"immutable": True, "data": {"x": "y"}}, id="sealed-map"
        ),
        pytest.param(("Deployment", "crm-a"), {"spec": {"selector": {}}}, id="selector"),
    ],
)
def test_what_cannot_be_changed_is_made_anew(key: tuple[str, str], change: Object) -> None:
    desired, found = live(*key)

    assert drift.must_replace(desired, found | change)


def test_a_revision_with_other_data_is_made_anew() -> None:
    (key,) = (key for key in CHILDREN if key[0] == "ControllerRevision")
    desired, found = live(*key)
    found["data"]["x"] = "y"

    assert drift.must_replace(desired, found)


def test_an_immutable_secret_with_the_right_data_stays() -> None:
    desired, found = live("Secret", "crm-live")

    assert not drift.must_replace(desired, found | {"immutable": True})


@pytest.mark.parametrize(
    ("modes", "replicas", "strategy"),
    [
        pytest.param(["ReadWriteOnce"], 1, "Recreate", id="one-pod"),
        pytest.param(["ReadWriteOncePod"], 1, "Recreate", id="one-pod-strictly"),
        pytest.param(["ReadWriteMany"], 3, "RollingUpdate", id="shared"),
        pytest.param(["ReadWriteOnce", "ReadOnlyMany"], 3, "RollingUpdate", id="read-by-many"),
        pytest.param(None, 3, "RollingUpdate", id="not-there-yet"),
    ],
)
def test_the_strategy_follows_the_claim(
    modes: list[str] | None, replicas: int, strategy: str
) -> None:
    children = claiming(modes, replicas).children()

    (deployment,) = (child for child in children if child["kind"] == "Deployment")
    assert deployment["spec"]["strategy"]["type"] == strategy


def test_pods_that_cannot_share_a_claim_are_refused() -> None:
    with pytest.raises(SpecError) as refused:
        claiming(["ReadWriteOnce"], 2).children()

    assert str(refused.value) == (
        "spec.replicas: 2 pods cannot share PersistentVolumeClaim team-a/changes, which is "
        "ReadWriteOnce; write replicas: 1, or mount a claim that is ReadWriteMany"
    )


def claiming(modes: list[str] | None, replicas: int) -> golden.Case:
    server, claim = copy.deepcopy(CASES["changes"].documents)
    server["spec"]["replicas"] = replicas
    if modes is None:
        return golden.Case("", (server,))
    claim["spec"]["accessModes"] = modes
    return golden.Case("", (server, claim))
