"""Servers whose pods come to exclude each other: none of the old and the new at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from breakwater_operator.kube.kinds import CLAIM, DEPLOYMENT, MCP_SERVER, POD
from tests.support.cluster import RunningCluster, eventually
from tests.support.operator_ground import Ground, own_ground

if TYPE_CHECKING:
    from collections.abc import Iterator

Object = dict[str, Any]

NOWHERE = {"placement": {"nodeSelector": {"example.com/no": "node"}}}


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with own_ground(control_plane, tmp_path_factory, "recreated") as made:
        yield made


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        pytest.param("fewer", {"replicas": 1}, id="fewer"),
        pytest.param("none", {"replicas": 1, "suspend": True}, id="none"),
    ],
)
def test_a_rollout_that_hangs_is_mended_by_pods_that_exclude_each_other(
    op: Ground, name: str, asked: Object
) -> None:
    """Kubernetes makes no such Deployment scale while several of its ReplicaSets have pods."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    op.create(CLAIM, f"{name}-data", spec=spec)
    op.ready(name, replicas=2)
    op.apply(name, replicas=2, pod=NOWHERE)
    eventually(lambda: len(pods(op, name)) == 3, "one of its pods hangs")
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": f"{name}-data"}}

    op.apply(name, pod={"volumes": [volume]}, **asked)

    op.wait(name, "Progressing", "False")
    live = op.find(DEPLOYMENT, f"{name}-a")["spec"]
    assert live["strategy"] == {"type": "Recreate"}
    assert "data" in {volume["name"] for volume in live["template"]["spec"]["volumes"]}
    assert len(pods(op, name)) == (0 if "suspend" in asked else 1)
    op.delete(MCP_SERVER, name)


def pods(op: Ground, name: str) -> list[Object]:
    path = f"{POD.path(op.namespace)}?labelSelector=breakwater.dev/server={name}"
    found: list[Object] = op.api.get(path)["items"]
    return found
