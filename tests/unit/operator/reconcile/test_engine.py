"""What a replica keeps in mind that waits for its turn."""

from datetime import UTC, datetime
from typing import Any

from kubernetes.aio.client import Configuration
from prometheus_client import CollectorRegistry

from breakwater_operator.api.platform import Platform
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.kinds import CONTROLLER_REVISION
from breakwater_operator.reconcile.engine import Engine, Outside
from breakwater_operator.reconcile.meters import Meters

CRM = ("team-a", "crm")


def waiting() -> Engine:
    """A replica that does not lead."""
    platform = Platform.parse({"namespace": "ops", "images": {"runtime": "registry.example/a:1"}})
    outside = Outside(lambda: datetime(2026, 1, 1, tzinfo=UTC), bytes, "two")
    api = KubeApi(Configuration(), lambda *_: None)
    return Engine(api, platform, Meters(CollectorRegistry()), outside)


def thing(kind: str, name: str, version: int) -> dict[str, Any]:
    metadata = {
        "namespace": "team-a",
        "name": name,
        "uid": name,
        "resourceVersion": str(version),
        "labels": {"breakwater.dev/server": "crm"},
    }
    return {"kind": kind, "metadata": metadata, "data": {}}


async def test_a_replica_that_waits_remembers_nothing_of_a_server_that_is_gone() -> None:
    engine = waiting()
    stored = engine._world.children[CONTROLLER_REVISION]
    engine._servers.saw(thing("McpServer", "crm", 1))
    for number in (2, 3):
        stored.saw("ADDED", thing("ControllerRevision", f"crm-{number}", number))
    stored.saw("DELETED", thing("ControllerRevision", "crm-2", 4))
    assert engine._world.lost(CRM, "crm-2") is not None

    # The garbage collector takes what it owned afterwards.
    engine._servers.gone(thing("McpServer", "crm", 5))
    stored.saw("DELETED", thing("ControllerRevision", "crm-3", 6))

    assert engine._world.lost(CRM, "crm-2") is None
    assert engine._world.lost(CRM, "crm-3") is None
