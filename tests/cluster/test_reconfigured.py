"""What becomes of servers when the platform's owner configures the operator otherwise."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from breakwater_operator.kube.kinds import DEPLOYMENT, SERVICE_MONITOR, Kind
from tests.support.operator_ground import Ground, PatientApi, ground
from tests.support.optional_kinds import installed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cluster import RunningCluster

ROOT = Path(__file__).parents[2]
QUOTA = Kind("v1", "ResourceQuota", "resourcequotas")
SECONDS = 120


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    name = f"configured-{uuid.uuid4().hex[:8]}"  # noqa: TID251 - it has to be new, not known
    folder = tmp_path_factory.mktemp("configured")
    with (
        PatientApi(control_plane.kubeconfig) as api,
        installed(api),
        ground(control_plane.kubeconfig, name, folder, ROOT) as made,
    ):
        yield made


def configure(op: Ground, **platform: Any) -> int:
    """Have the operator configured otherwise; return how many requests were seen before."""
    op.operator.stop()
    before = len(op.proxy.seen)
    op.operator.platform = platform
    op.operator.start()
    op.operator.wait_ready()
    op.quiet(2.0)
    return before


def generation(op: Ground, server: str) -> int:
    return int(op.find(DEPLOYMENT, f"{server}-a")["metadata"]["generation"])


def test_labels_of_monitors_come_and_go_with_the_configuration(op: Ground) -> None:
    def labels() -> dict[str, str]:
        found = op.find(SERVICE_MONITOR, "labelled")["metadata"]["labels"]
        return {key: found[key] for key in ("release", "team", "theirs") if key in found}

    op.ready("labelled")
    op.patch(SERVICE_MONITOR, "labelled", {"metadata": {"labels": {"theirs": "x"}}})
    op.quiet()
    for asked in ({"release": "prometheus", "team": "sre"}, {"team": "sre"}, {}):
        configure(op, monitoring={"labels": asked})
        assert labels() == asked | {"theirs": "x"}

        before = configure(op, monitoring={"labels": asked})
        assert op.proxy.writes(before) == []


def test_a_default_that_kept_pods_from_being_made_is_mended_where_it_did(op: Ground) -> None:
    op.ready("steady")
    op.ready("changed")
    op.create(QUOTA, "room", spec={"hard": {"limits.memory": "20Gi"}})
    configure(op, resources={"limits": {"memory": "900Gi"}})
    op.apply("fresh")
    op.apply("changed", runtime={"image": "breakwater.local/own:1"})
    for server in ("fresh", "changed"):
        op.wait(server, "Degraded", "True", "PodsRefused")
    before = generation(op, "steady")

    configure(op)

    for server in ("fresh", "changed"):
        op.wait(server, "Ready", seconds=SECONDS)
        op.wait(server, "Progressing", "False", seconds=SECONDS)
    assert generation(op, "steady") == before
    op.quiet()
    again = configure(op)
    assert op.proxy.writes(again) == []
    assert generation(op, "steady") == before
