"""Servers that are made again at once: a Service never meets what an earlier one left."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from breakwater_operator.kube.kinds import ENDPOINT_SLICE, MCP_SERVER, SERVICE
from tests.support.cluster import eventually
from tests.support.faultproxy import Rule
from tests.support.operator_ground import Ground, PatientApi, own_ground

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cluster import RunningCluster
    from tests.support.faultproxy import Seen

NAMES = [f"s{number}" for number in range(12)]


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with own_ground(control_plane, tmp_path_factory, "again") as made:
        yield made


@pytest.fixture
def witness(op: Ground, control_plane: RunningCluster) -> Iterator[Ground]:
    """The same ground, to be looked at from within the proxy: a connection serves one at a time."""
    with PatientApi(control_plane.kubeconfig) as api:
        yield replace(op, api=api)


def left(op: Ground, service: str) -> list[str]:
    """Names of the EndpointSlices of a Service that nobody has begun to delete."""
    query = f"?labelSelector=kubernetes.io/service-name={service}"
    found = op.api.get(ENDPOINT_SLICE.path(op.namespace) + query)["items"]
    return [
        each["metadata"]["name"] for each in found if "deletionTimestamp" not in each["metadata"]
    ]


def is_gone(op: Ground, name: str) -> bool:
    """Whether there is no such server."""
    return op.server(name) is None


def test_a_service_is_made_once_the_endpoints_of_the_one_before_it_are_gone(
    op: Ground, witness: Ground
) -> None:
    made: dict[str, list[str]] = {}

    def look(seen: Seen) -> bool:
        is_made = seen.plural == SERVICE.plural and seen.is_write
        if is_made and witness.get(SERVICE, seen.name) is None:
            made[seen.name] = left(witness, seen.name)
        return False

    for name in NAMES:
        op.apply(name)
    for name in NAMES:
        op.wait(name, "Ready", seconds=120)
    op.proxy.rules.append(Rule(look))
    for name in NAMES:
        op.delete(MCP_SERVER, name)
    for name in NAMES:
        eventually(partial(is_gone, op, name), f"{name} is gone", seconds=60)
        op.apply(name)
    for name in NAMES:
        op.wait(name, "Ready", seconds=120)

    op.proxy.rules.clear()
    assert {name: met for name, met in made.items() if met} == {}
    assert {f"{name}{part}" for name in NAMES for part in ("", "-metrics")} <= made.keys()


def test_a_service_that_lost_its_labels_is_not_waited_for(op: Ground) -> None:
    op.ready("bare")
    before = op.find(SERVICE, "bare")["metadata"]["uid"]
    # Without a selector Kubernetes leaves the endpoints as they are, with our labels.
    bare = [
        {"op": "remove", "path": "/spec/selector"},
        {"op": "remove", "path": "/metadata/labels"},
    ]
    op.patch(SERVICE, "bare", bare)

    eventually(
        lambda: "selector" in op.find(SERVICE, "bare")["spec"], "it is as it was", seconds=60
    )
    assert op.find(SERVICE, "bare")["metadata"]["uid"] == before
