"""An operator of some namespaces only, one of which is deleted, and is there again."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from breakwater_operator.kube.kinds import HTTP_ROUTE
from tests.support.cluster import RunningCluster, eventually
from tests.support.granted import account, grant, roles
from tests.support.operator_ground import Ground, PatientApi, ground
from tests.support.optional_kinds import installed

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
EXPOSED = {"expose": {"host": "stays.example", "gateway": "infra/public"}}


@pytest.fixture
def teams(control_plane: RunningCluster, tmp_path: Path) -> Iterator[tuple[Ground, Ground]]:
    """Two namespaces of one operator, which has the chart's rights and no others."""
    home, *names = (f"{what}-{uuid.uuid4().hex[:8]}" for what in ("home", "stays", "goes"))  # noqa: TID251 - they have to be new, not known

    def prepare() -> None:
        for name in names:
            control_plane.kubectl("create", "namespace", name)
        grant(control_plane, account(home), roles(control_plane, home, *names))

    with (
        PatientApi(control_plane.kubeconfig) as api,
        installed(api),
        ground(
            control_plane.kubeconfig,
            home,
            tmp_path,
            ROOT,
            acts_as=account(home),
            prepare=prepare,
            platform={"watchNamespaces": names},
        ) as op,
    ):
        stays, goes = (replace(op, namespace=name) for name in names)
        yield stays, goes
        for one in (stays, goes):
            one.api.delete(f"/api/v1/namespaces/{one.namespace}")


def test_a_namespace_that_is_deleted_keeps_a_restarted_operator_from_no_other(
    teams: tuple[Ground, Ground], control_plane: RunningCluster
) -> None:
    stays, goes = teams
    stays.ready("one", **EXPOSED)
    goes.ready("two")
    granted = roles(control_plane, "home", goes.namespace)
    goes.api.delete(f"/api/v1/namespaces/{goes.namespace}")
    path = f"/api/v1/namespaces/{goes.namespace}"
    eventually(lambda: goes.api.find(path) is None, "it is gone", seconds=120)

    stays.operator.kill()
    stays.operator.start()
    stays.operator.wait_ready()
    stays.delete(HTTP_ROUTE, "one")
    eventually(lambda: stays.get(HTTP_ROUTE, "one") is not None, "it is mended", seconds=60)
    stays.apply("one", limits={"inFlight": 7}, **EXPOSED)
    stays.wait("one", "Progressing", "False")

    control_plane.kubectl("create", "namespace", goes.namespace)
    own = [one for one in granted if one["metadata"]["namespace"] == goes.namespace]
    for one in own:
        for subject in one.get("subjects", ()):
            subject["namespace"] = stays.operator.namespaces[0]
    control_plane.apply(*own)
    goes.ready("two")
