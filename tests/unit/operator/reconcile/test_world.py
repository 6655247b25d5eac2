"""Whom a change in the cluster wakes, and how soon."""

from copy import deepcopy
from typing import Any

import pytest
from kubernetes.aio.client import Configuration

from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.kinds import (
    CONTROLLER_REVISION,
    DEPLOYMENT,
    HTTP_ROUTE,
    INGRESS,
    SECRET,
)
from breakwater_operator.reconcile.world import LOST_MAX, World

Object = dict[str, Any]

CRM = ("team-a", "crm")


def deployment(version: int, status: Object, **metadata: Any) -> Object:
    named = {"namespace": "team-a", "name": "crm-a", "uid": "u", "generation": 1}
    labels = {"breakwater.dev/server": "crm"}
    return {
        "kind": "Deployment",
        "metadata": {**named, "resourceVersion": str(version), "labels": labels, **metadata},
        "spec": {"replicas": 2},
        "status": status,
    }


BEGUN: Object = {
    "observedGeneration": 1,
    "replicas": 2,
    "readyReplicas": 1,
    "conditions": [
        {"type": "Progressing", "status": "True", "reason": "R", "lastUpdateTime": "10:00"}
    ],
}


def later(**more: Any) -> Object:
    status = deepcopy(BEGUN) | more
    status["conditions"][0]["lastUpdateTime"] = "10:01"
    return status


@pytest.mark.parametrize(
    ("new", "at_once", "soon"),
    [
        pytest.param(deployment(2, later(), generation=2), [CRM], [], id="spec-changed"),
        pytest.param(deployment(2, later(readyReplicas=2)), [], [CRM], id="pod-became-ready"),
        pytest.param(deployment(2, later(unavailableReplicas=1)), [], [], id="only-time-passed"),
    ],
)
def test_a_deployment_wakes_a_pass_when_it_says_something_new(
    new: Object, at_once: list[Any], soon: list[Any]
) -> None:
    woken: tuple[list[Any], list[Any]] = ([], [])
    api = KubeApi(Configuration(), lambda *_: None)
    world = World(api, [], woken[0].append, woken[1].append)
    cache = world.children[DEPLOYMENT]
    cache.wrote(deployment(1, BEGUN))

    cache.saw("MODIFIED", new)

    assert woken == (at_once, soon)


def test_nothing_of_a_kind_that_seems_gone_is_there_to_be_deleted() -> None:
    world = World(KubeApi(Configuration(), lambda *_: None), [], print, print)
    controller = {"apiVersion": "breakwater.dev/v1alpha1", "kind": "McpServer", "controller": True}
    owner = {"ownerReferences": [controller | {"name": "crm", "uid": "owner"}]}
    for kind in (DEPLOYMENT, HTTP_ROUTE):
        world.children[kind].wrote(deployment(1, {}, **owner) | {"kind": kind.name})

    unknown = [kind for kind, _ in world.owned("owner", CRM)]
    world.kinds = frozenset({HTTP_ROUTE.name})
    known = [kind for kind, _ in world.owned("owner", CRM)]

    assert (unknown, known) == ([DEPLOYMENT], [DEPLOYMENT, HTTP_ROUTE])


def test_what_lost_its_owner_is_found_by_its_labels_but_for_secrets() -> None:
    world = World(KubeApi(Configuration(), lambda *_: None), [], print, print)
    for kind in (DEPLOYMENT, INGRESS, SECRET):
        world.children[kind].wrote(deployment(1, {}) | {"kind": kind.name})

    assert [kind for kind, _ in world.owned("owner", CRM)] == [DEPLOYMENT, INGRESS]
    assert world.owned("owner", ("team-a", "other")) == []


def endpoints(version: int, service: str, *, ready: bool = True, **metadata: Any) -> Object:
    owner = {"apiVersion": "v1", "kind": "Service", "name": service, "uid": "s", "controller": True}
    labels = {"breakwater.dev/server": "crm", "kubernetes.io/service-name": service}
    named = {"namespace": "team-a", "name": f"{service}-x", "uid": f"{service}-x"}
    return {
        "metadata": {
            **named,
            "resourceVersion": str(version),
            "labels": labels,
            "ownerReferences": [owner],
            **metadata,
        },
        "endpoints": [{"conditions": {"ready": ready}}],
    }


@pytest.mark.parametrize(
    ("service", "kind", "new", "at_once", "soon"),
    [
        ("crm", "MODIFIED", endpoints(2, "crm", ready=False), [], [CRM]),
        ("crm", "MODIFIED", endpoints(2, "crm"), [], []),
        ("crm", "DELETED", endpoints(2, "crm"), [CRM], []),
        ("crm-metrics", "MODIFIED", endpoints(2, "crm-metrics", ready=False), [], []),
        ("crm-metrics", "DELETED", endpoints(2, "crm-metrics"), [CRM], []),
    ],
)
def test_endpoints_wake_a_pass_when_it_matters(
    service: str, kind: str, new: Object, at_once: list[Any], soon: list[Any]
) -> None:
    woken: tuple[list[Any], list[Any]] = ([], [])
    world = World(KubeApi(Configuration(), lambda *_: None), [], woken[0].append, woken[1].append)
    world.endpoints.wrote(endpoints(1, service))

    world.endpoints.saw(kind, new)

    assert woken == (at_once, soon)


@pytest.mark.parametrize(
    ("live", "is_left"),
    [
        pytest.param(endpoints(1, "crm"), True, id="of-an-earlier-one"),
        pytest.param(endpoints(1, "crm-metrics"), False, id="of-another-service"),
        pytest.param(endpoints(1, "crm", ownerReferences=[]), False, id="of-nobody"),
        pytest.param(endpoints(1, "crm", deletionTimestamp="now"), False, id="being-deleted"),
    ],
)
def test_what_an_earlier_service_left_is_found(live: Object, is_left: bool) -> None:
    world = World(KubeApi(Configuration(), lambda *_: None), [], print, print)
    world.endpoints.wrote(live)
    metadata = {"namespace": "team-a", "name": "crm", "labels": {"breakwater.dev/server": "crm"}}

    found = world.left_endpoints({"kind": "Service", "metadata": metadata})

    assert (found is not None) is is_left


def stored(number: int) -> Object:
    metadata = {
        "namespace": "team-a",
        "name": f"crm-{number}",
        "uid": f"u{number}",
        "resourceVersion": str(number),
        "labels": {"breakwater.dev/server": "crm"},
    }
    return {"kind": "ControllerRevision", "metadata": metadata, "data": {"number": number}}


def test_of_revisions_that_somebody_deletes_a_few_of_each_server_are_remembered() -> None:
    world = World(KubeApi(Configuration(), lambda *_: None), [], lambda _: None, lambda _: None)
    cache = world.children[CONTROLLER_REVISION]

    for number in range(1, LOST_MAX + 3):
        cache.saw("ADDED", stored(number))
        cache.saw("DELETED", stored(number))

    remembered = [n for n in range(1, LOST_MAX + 3) if world.lost(CRM, f"crm-{n}") is not None]
    assert remembered == list(range(3, LOST_MAX + 3))
    world.forget(CRM)
    assert world.lost(CRM, f"crm-{LOST_MAX + 2}") is None
