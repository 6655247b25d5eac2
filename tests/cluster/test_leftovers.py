"""Pods that somebody added to, and whose server was changed meanwhile: nothing of before stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from breakwater_operator.kube.kinds import DEPLOYMENT
from tests.support.operator_ground import Ground, own_ground

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


def edit(op: Ground, spec: dict[str, Any]) -> None:
    """Change a server, and add to its container by hand, while no operator runs."""
    op.operator.kill()
    where = "/spec/template/spec/containers/0/env/-"
    added = {"name": "ADDED", "value": "x"}
    op.patch(DEPLOYMENT, "one-a", [{"op": "add", "path": where, "value": added}])
    op.apply("one", **spec)
    op.operator.start()


def volumes(op: Ground) -> set[str]:
    pods = op.find(DEPLOYMENT, "one-a")["spec"]["template"]["spec"]
    assert not any(it["name"] == "ADDED" for it in pods["containers"][0].get("env", ()))
    return {volume["name"] for volume in pods["volumes"]}


@pytest.mark.requirement("C3")
def test_what_came_with_a_repair_goes_with_the_next_change(op: Ground) -> None:
    op.ready("one")

    edit(op, SCRATCH)
    op.wait("one", "Progressing", "False")
    op.quiet()
    assert volumes(op) == {*OURS, "scratch"}

    op.apply("one")
    op.wait("one", "Progressing", "False")
    op.quiet()
    assert volumes(op) == OURS
