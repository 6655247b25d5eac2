"""What is left of a server that is deleted, and what an old view of one may still write."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from breakwater_operator.api.conditions import ConditionType
from breakwater_operator.kube.kinds import CHILDREN, CONFIG_MAP, INGRESS, MCP_SERVER, SECRET
from breakwater_operator.status.deleting import HELD_SECONDS
from tests.support.cluster import KINDS_SECONDS, RunningCluster, eventually
from tests.support.operator_ground import Ground, ground, own_ground

if TYPE_CHECKING:
    from collections.abc import Iterator

    from breakwater_operator.kube.kinds import Kind

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with own_ground(control_plane, tmp_path_factory, "gone") as made:
        yield made


def left(op: Ground, name: str) -> set[tuple[str, str]]:
    """What carries the name of a server, with or without an owner."""
    found = set()
    for kind in CHILDREN:
        path = f"{kind.path(op.namespace)}?labelSelector=breakwater.dev/server={name}"
        found |= {(kind.name, one["metadata"]["name"]) for one in op.api.get(path)["items"]}
    return found


@pytest.mark.parametrize("policy", ["Background", "Foreground", "Orphan"])
@pytest.mark.parametrize("is_down", [False, True], ids=["running", "down"])
def test_what_is_left_is_what_the_policy_says(op: Ground, policy: str, is_down: bool) -> None:
    name = f"{policy.lower()}-{'down' if is_down else 'running'}"
    op.ready(name)
    op.quiet()
    children = left(op, name)
    if is_down:
        op.operator.stop()
    before = len(op.proxy.seen)

    op.delete(MCP_SERVER, name, policy)

    eventually(lambda: op.server(name) is None, "the server is gone", seconds=KINDS_SECONDS)
    if is_down:
        op.operator.start()
        op.operator.wait_ready()
    if policy != "Orphan":
        eventually(lambda: not left(op, name), "nothing is left", seconds=KINDS_SECONDS)
    op.quiet(2.0)
    assert left(op, name) == (children if policy == "Orphan" else set())
    assert op.writes(name, before) == []


def test_what_was_left_of_a_server_goes_where_a_new_one_does_not_ask_for_it(op: Ground) -> None:
    exposed = {"host": "again.example", "ingressClassName": "nginx"}
    op.ready("again", expose=exposed, autoscaling={"max": 4}, access={"keys": {"retain": True}})
    op.quiet()
    op.delete(MCP_SERVER, "again", "Orphan")
    eventually(lambda: op.server("again") is None, "the server is gone", seconds=KINDS_SECONDS)
    key = op.find(SECRET, "again-keys")["data"]

    op.ready("again", runtime={"image": "breakwater.local/runtime:another"})

    eventually(lambda: left(op, "again") == set(op.children("again")), "all of it has an owner")
    # A server is ready before the last of what it does not ask for is gone.
    surplus = {"Ingress", "HorizontalPodAutoscaler"}
    eventually(lambda: not surplus & {kind for kind, _ in left(op, "again")}, "no more than it is")
    eventually(
        lambda: [kind for kind, _ in left(op, "again")].count("ControllerRevision") == 1,
        "the revision of the old pods is gone",
    )
    assert op.find(SECRET, "again-keys")["data"] == key
    op.delete(MCP_SERVER, "again")
    eventually(lambda: not left(op, "again"), "nothing is left", seconds=KINDS_SECONDS)


def test_a_server_that_somebody_holds_says_so_and_is_no_longer_ready(op: Ground) -> None:
    op.ready("held")
    finalizers = ["b.example/backup", "a.example/audit"]
    op.patch(MCP_SERVER, "held", {"metadata": {"finalizers": finalizers}})
    op.quiet()
    before = len(op.proxy.seen)

    op.delete(MCP_SERVER, "held", "Foreground")

    found = op.wait("held", "Ready", "False", "Deleting")
    assert "b.example/backup, a.example/audit" in found["message"]
    assert "foregroundDeletion" not in found["message"]
    assert op.condition("held", "Progressing")["reason"] == "Deleting"
    assert len(op.find(MCP_SERVER, "held")["status"]["conditions"]) == len(ConditionType)
    let_go(op, MCP_SERVER, "held", before)


def let_go(op: Ground, held: Kind, name: str, before: int) -> None:
    """Take away `a.example/audit`, which is said, and then what else holds a server."""
    op.patch(held, name, {"metadata": {"finalizers": ["b.example/backup"]}})
    eventually(
        lambda: "audit" not in op.condition(name, "Ready")["message"],
        "it names who still holds it",
        seconds=60,
    )
    op.quiet(2.0)
    assert [seen.part for seen in op.writes(name, before)] == ["status", "status"]
    op.patch(held, name, {"metadata": {"finalizers": None}})
    eventually(lambda: not left(op, name), "nothing is left", seconds=KINDS_SECONDS)
    eventually(lambda: op.server(name) is None, "nor is the server", seconds=KINDS_SECONDS)


def test_a_server_whose_child_somebody_holds_says_so_and_is_no_longer_ready(op: Ground) -> None:
    op.ready("waits", expose={"host": "waits.example", "ingressClassName": "nginx"})
    finalizers = ["b.example/backup", "a.example/audit"]
    op.patch(INGRESS, "waits", {"metadata": {"finalizers": finalizers}})
    op.quiet()
    before = len(op.proxy.seen)

    op.delete(MCP_SERVER, "waits", "Foreground")

    seconds = KINDS_SECONDS + HELD_SECONDS
    found = op.wait("waits", "Ready", "False", "Deleting", seconds)
    held = "b.example/backup on Ingress waits, a.example/audit on Ingress waits"
    assert f"({held})" in found["message"]
    let_go(op, INGRESS, "waits", before)


def test_a_status_that_was_concluded_from_an_old_state_is_refused(op: Ground) -> None:
    op.create(SECRET, "late-own", stringData={"crm": "a key"})
    op.ready("late", access={"keys": {"secretName": "late-own"}})
    op.quiet()
    before = len(op.proxy.seen)

    def answers() -> set[int]:
        statuses = [seen for seen in op.proxy.seen[before:] if seen.part == "status"]
        return {seen.status for seen in statuses if seen.name == "late"}

    op.proxy.cut_watches(MCP_SERVER.plural, hold=True)
    try:
        op.patch(MCP_SERVER, "late", {"spec": {"replicas": 3}})
        op.delete(SECRET, "late-own")

        eventually(lambda: 409 in answers(), "the status is refused", seconds=30)
    finally:
        op.proxy.release()

    op.wait("late", "Progressing", "True", "KeySecretMissing")
    assert op.find(MCP_SERVER, "late")["status"]["observedGeneration"] == 2
    # The API server has it a moment before the proxy has the answer.
    eventually(lambda: 200 in answers(), "the proxy has seen the status that was taken")
    assert answers() == {409, 200}


def test_a_namespace_that_is_deleted_is_left_in_peace(
    control_plane: RunningCluster, tmp_path: Path
) -> None:
    names = [f"server-{number}" for number in range(4)]
    home, ends = (f"{what}-{uuid.uuid4().hex[:8]}" for what in ("home", "ends"))  # noqa: TID251 - they have to be new, not known
    control_plane.kubectl("create", "namespace", ends)
    watched = {"watchNamespaces": [home, ends]}
    with ground(control_plane.kubeconfig, home, tmp_path, ROOT, platform=watched) as housed:
        op = replace(housed, namespace=ends)
        # The namespace stays until nothing holds this any more.
        op.create(CONFIG_MAP, "last", metadata={"finalizers": ["test.example/held"]})
        for name in names:
            op.apply(name)
        for name in names:
            op.wait(name, "Ready")
        op.quiet()
        before = len(op.proxy.seen)

        # The operator sees its children go, and not that their servers do.
        op.proxy.cut_watches(MCP_SERVER.plural, hold=True)
        op.api.delete(f"/api/v1/namespaces/{ends}")
        eventually(lambda: not any(map(op.server, names)), "they are gone", seconds=60)
        op.quiet(2.0)
        op.proxy.release()
        op.patch(CONFIG_MAP, "last", {"metadata": {"finalizers": None}})

        refused = [seen.what for seen in op.proxy.seen[before:] if seen.status == 403]
        tries = [what for what in refused if what != "POST events"]
        assert len(tries) <= len(names), tries
        again = [line for line in op.operator.log.splitlines() if '"trying again"' in line]
        assert not [line for line in again if "being terminated" in line]
