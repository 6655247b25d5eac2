"""Pods that somebody added to, and whose server was changed meanwhile: nothing of before stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from breakwater_operator.kube.kinds import DEPLOYMENT, DISRUPTION_BUDGET
from tests.support.cluster import eventually
from tests.support.faultproxy import Rule
from tests.support.life import revived
from tests.support.operator_ground import Ground, own_ground, said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cluster import RunningCluster

MOUNTS = {"volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}]}
SCRATCH: dict[str, Any] = {
    "backends": [{"name": "main", "python": {"server": "weather.main:mcp", **MOUNTS}}],
    "pod": {"volumes": [{"name": "scratch", "emptyDir": {}}]},
}
OURS = {"breakwater", "breakwater-keys", "breakwater-internal", "breakwater-tmp"}


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with own_ground(control_plane, tmp_path_factory, "left") as made:
        yield made


EXEC = {"exec": {"command": ["true"]}}
ADDED = [
    {"op": "add", "path": "/env/-", "value": {"name": "ADDED", "value": "x"}},
]
"""What an apply leaves alone."""
IN_THE_WAY = [
    {"op": "add", "path": "/env/-", "value": {"name": "ADDED", "value": "x"}},
    {"op": "replace", "path": "/readinessProbe", "value": EXEC},
]
"""What an apply is refused with: a probe has one way to ask."""


def edit(op: Ground, by_hand: list[dict[str, Any]], spec: dict[str, Any]) -> None:
    """Change a server, and its container by hand, while no operator runs."""
    op.operator.kill()
    container = "/spec/template/spec/containers/0"
    steps = [step | {"path": container + step["path"]} for step in by_hand]
    op.patch(DEPLOYMENT, "one-a", steps)
    op.apply("one", **spec)


def volumes(op: Ground) -> set[str]:
    pods = op.find(DEPLOYMENT, "one-a")["spec"]["template"]["spec"]
    container = pods["containers"][0]
    assert not any(it["name"] == "ADDED" for it in container.get("env", ()))
    assert "exec" not in container["readinessProbe"]
    return {volume["name"] for volume in pods["volumes"]}


def settled(op: Ground) -> None:
    op.wait("one", "Progressing", "False")
    op.quiet()


@pytest.mark.requirement("C3")
@pytest.mark.parametrize("killed_at", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "by_hand", [pytest.param(ADDED, id="added"), pytest.param(IN_THE_WAY, id="in-the-way")]
)
def test_what_came_with_a_repair_goes_with_the_next_change(
    op: Ground, by_hand: list[dict[str, Any]], killed_at: int
) -> None:
    op.ready("one")
    op.quiet()

    edit(op, by_hand, SCRATCH)
    kill_after(op, killed_at)
    with revived(op):
        settled(op)
        assert volumes(op) == {*OURS, "scratch"}

        op.apply("one")
        settled(op)
    assert volumes(op) == OURS


def kill_after(op: Ground, write: int) -> None:
    """Kill the operator once so many writes of a Deployment have been carried out."""
    left = [write]

    def is_lost(_: int) -> bool:
        left[0] -= op.proxy.seen[-1].plural == DEPLOYMENT.plural
        if left[0] or not write:
            return False
        left[0] = -1
        op.operator.process.kill()
        return True

    op.proxy.after_write = is_lost


@pytest.mark.requirement("C3")
def test_a_change_that_takes_something_away_is_one_write(op: Ground) -> None:
    op.ready("one", **SCRATCH)
    op.quiet()
    before = len(op.proxy.seen)

    op.apply("one")
    settled(op)

    written = op.proxy.counted(before)
    assert written["PATCH deployments"] == 1
    assert volumes(op) == OURS


@pytest.mark.requirement("C3")
def test_what_was_added_goes_at_once_although_the_status_is_written_meanwhile(op: Ground) -> None:
    op.ready("one")
    op.quiet()
    before = len(op.proxy.seen)
    # The first write is the apply.
    conflict = Rule(lambda seen: seen.what == "PATCH deployments", 409, every=2, times=1)
    op.proxy.rules.append(conflict)

    edit(op, ADDED, SCRATCH)
    with revived(op):
        settled(op)

    assert conflict.hit == 1
    assert volumes(op) == {*OURS, "scratch"}
    writes = [(seen.what, seen.status) for seen in op.writes("one", before)]
    refused = writes.index(("PATCH deployments", 409))
    again = writes[refused:]
    assert again.index(("PATCH deployments", 200)) < again.index(("PATCH mcpservers/status", 200))


@pytest.mark.requirement("C3")
def test_what_is_in_the_way_goes_although_nobody_is_known_to_have_written_it(op: Ground) -> None:
    op.ready("reset")
    op.quiet()
    before = said(op.find(DISRUPTION_BUDGET, "reset"))
    reset = [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]
    op.patch(DISRUPTION_BUDGET, "reset", reset)
    op.quiet()

    op.patch(DISRUPTION_BUDGET, "reset", {"spec": {"maxUnavailable": None, "minAvailable": 1}})

    def is_back() -> bool:
        return said(op.find(DISRUPTION_BUDGET, "reset")) == before

    eventually(is_back, "it is as it was")
    op.wait("reset", "Degraded", "False")
