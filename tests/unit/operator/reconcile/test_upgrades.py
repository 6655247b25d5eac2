"""Turns of servers whose pods a newer operator renders otherwise."""

from typing import Any

import pytest
from kubernetes.aio.client import Configuration

from breakwater_contract.names import REVISION_LABEL, SERVER_LABEL
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.kinds import CONTROLLER_REVISION, DEPLOYMENT
from breakwater_operator.reconcile import deployments
from breakwater_operator.reconcile.upgrades import AT_ONCE, Upgrades, under_way
from breakwater_operator.reconcile.world import World
from breakwater_operator.status import Rollout

GOING = Rollout(wanted=2, total=2, updated=1)
LATE = Rollout(wanted=2, total=3, updated=1, is_newest=True, is_seen=True, is_late=True)
DONE = Rollout(wanted=2, total=2, updated=2, ready=2, is_newest=True, is_seen=True, is_settled=True)

Key = tuple[str, str]
Object = dict[str, Any]


class Ground:
    """Turns, and who was told that one may have come."""

    def __init__(self, *begun: str, failed: str = "") -> None:
        self.woken: list[str] = []
        found = [(key(name), name in failed) for name in begun]
        self.upgrades = Upgrades(lambda key: self.woken.append(key[1]), lambda: found)

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


def test_one_that_failed_under_an_earlier_leader_stops_all_until_it_is_mended() -> None:
    ground = Ground("x", failed="x")

    assert ground.may("a", "x", "b") == ["x"]

    ground.saw("x", DONE)

    assert ground.woken == ["a", "b"]


def stored(name: str, revision: str, **data: Any) -> Object:
    return {
        "kind": "ControllerRevision",
        "metadata": {
            "namespace": "team",
            "name": f"{name}-{revision}",
            "uid": f"{name}-{revision}",
            "resourceVersion": "1",
            "labels": {SERVER_LABEL: name, REVISION_LABEL: revision},
            "ownerReferences": [{"uid": name, "controller": True}],
        },
        "data": data,
    }


def deployment(name: str, revision: str, progress: str, updated: int, wanted: int = 2) -> Object:
    return {
        "kind": "Deployment",
        "metadata": {
            "namespace": "team",
            "name": f"{name}-a",
            "uid": name,
            "resourceVersion": "1",
            "generation": 2,
        },
        "spec": {
            "replicas": wanted,
            "template": {"metadata": {"labels": {REVISION_LABEL: revision}}},
        },
        "status": {
            "observedGeneration": 2,
            "replicas": wanted,
            "updatedReplicas": updated,
            "conditions": [{"type": "Progressing", "status": "True", "reason": progress}],
        },
    }


def pod(revision: str, ready: str) -> Object:
    return {
        "kind": "Pod",
        "metadata": {
            "namespace": "team",
            "name": "x-a-1",
            "uid": "x-a-1",
            "resourceVersion": "1",
            "labels": {SERVER_LABEL: "x", REVISION_LABEL: revision},
        },
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def empty() -> World:
    return World(KubeApi(Configuration(), lambda *_: None), (), print, print)


@pytest.mark.parametrize(
    ("revision", "progress", "updated", "wanted", "found"),
    [
        pytest.param("new", "ReplicaSetUpdated", 1, 2, [(("team", "x"), False)], id="going"),
        pytest.param("new", "ReplicaSetUpdated", 2, 2, [(("team", "x"), False)], id="not-ready"),
        pytest.param("new", "ProgressDeadlineExceeded", 1, 2, [(("team", "x"), True)], id="late"),
        pytest.param("new", "NewReplicaSetAvailable", 2, 2, [], id="done"),
        pytest.param("new", "ReplicaSetUpdated", 0, 0, [], id="no-pods"),
        pytest.param("old", "NewReplicaSetAvailable", 2, 2, [(("team", "x"), False)], id="stored"),
        pytest.param(
            "old", "ProgressDeadlineExceeded", 1, 2, [(("team", "x"), False)], id="before"
        ),
    ],
)
def test_who_was_given_a_turn_is_found_by_what_is_stored(
    revision: str, progress: str, updated: int, wanted: int, found: Any
) -> None:
    world = empty()
    world.children[CONTROLLER_REVISION].saw("ADDED", stored("x", "new", number=2, upgrade=2))
    world.children[CONTROLLER_REVISION].saw("ADDED", stored("x", "old", number=1))
    world.children[DEPLOYMENT].saw("ADDED", deployment("x", revision, progress, updated, wanted))

    assert list(under_way(world)) == found


def test_what_an_orphaned_revision_says_is_nobodys_turn() -> None:
    world = empty()
    orphan = stored("x", "new", number=2, upgrade=2)
    del orphan["metadata"]["ownerReferences"]
    world.children[CONTROLLER_REVISION].saw("ADDED", orphan)
    world.children[DEPLOYMENT].saw("ADDED", deployment("x", "new", "ReplicaSetUpdated", 1))

    assert list(under_way(world)) == []


def test_whose_user_has_changed_it_since_has_no_turn() -> None:
    world = empty()
    for number, data in enumerate(({}, {"upgrade": 2}, {}), start=1):
        revision = stored("x", f"r{number}", number=number, **data)
        world.children[CONTROLLER_REVISION].saw("ADDED", revision)
    world.children[DEPLOYMENT].saw("ADDED", deployment("x", "r3", "ReplicaSetUpdated", 1))

    assert list(under_way(world)) == []


def test_who_was_rendered_again_without_a_turn_has_none() -> None:
    world = empty()
    again = stored("x", "new", number=2, upgrade=2, untried=True)
    world.children[CONTROLLER_REVISION].saw("ADDED", again)
    world.children[DEPLOYMENT].saw("ADDED", deployment("x", "new", "ReplicaSetUpdated", 1))

    assert list(under_way(world)) == []


REFUSED = ("new", "NewReplicaSetCreated", 2)


@pytest.mark.parametrize(
    ("made", "found", "has_run"),
    [
        pytest.param(REFUSED, None, False, id="no-pod"),
        pytest.param(REFUSED, ("new", "False"), False, id="none-is-ready"),
        pytest.param(REFUSED, ("old", "True"), False, id="only-an-older-one-is"),
        pytest.param(REFUSED, ("new", "True"), True, id="one-is"),
        pytest.param(("new", "NewReplicaSetAvailable", 2), None, True, id="all-were"),
        pytest.param(("new", "NewReplicaSetCreated", 0), None, True, id="nobody-is-wanted"),
        pytest.param(("old", "NewReplicaSetAvailable", 2), None, False, id="another-revision"),
        pytest.param(("old", "NewReplicaSetAvailable", 2), ("new", "True"), True, id="went-back"),
    ],
)
def test_a_revision_has_not_run_where_no_pod_of_it_was_ever_ready(
    made: tuple[str, str, int], found: tuple[str, str] | None, has_run: bool
) -> None:
    world = empty()
    revision, progress, wanted = made
    world.children[DEPLOYMENT].saw("ADDED", deployment("x", revision, progress, 0, wanted))
    if found is not None:
        world.pods.saw("ADDED", pod(*found))

    assert deployments.has_run(world, key("x"), "new", was_verified=True) is has_run


@pytest.mark.parametrize("was_verified", [True, False])
def test_who_has_no_deployment_has_run_where_somebody_ever_spoke_with_it(
    was_verified: bool,
) -> None:
    assert deployments.has_run(empty(), key("x"), "new", was_verified=was_verified) is was_verified
