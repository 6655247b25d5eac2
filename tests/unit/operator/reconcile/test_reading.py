"""What a pass finds of the things that a manifest names."""

from typing import Any

import pytest

from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import Platform
from breakwater_operator.kube.kinds import CLAIM
from breakwater_operator.reconcile.reading import read
from breakwater_operator.reconcile.world import World

Object = dict[str, Any]

PLATFORM = Platform.parse({"namespace": "ops", "images": {"runtime": "registry.example/a:1"}})
SERVER = McpServer.parse(
    {
        "metadata": {"name": "crm", "namespace": "team-a", "uid": "u", "generation": 1},
        "spec": {
            "backends": [{"python": {"server": "a:b"}}],
            "replicas": 1,
            "pod": {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]},
        },
    }
)


class Cluster:
    """One claim."""

    def __init__(self, **metadata: Any) -> None:
        named = {"namespace": "team-a", "name": "data", "uid": "c", "resourceVersion": "1"}
        self.claim = {"metadata": named | metadata, "spec": {"accessModes": ["ReadWriteOnce"]}}

    async def get(self, *_: Any) -> Object:
        return self.claim


@pytest.mark.parametrize(
    ("metadata", "found", "said"),
    [
        pytest.param({}, ["data"], [], id="there"),
        pytest.param(
            {"deletionTimestamp": "2026-01-31T08:00:00Z"},
            [],
            ["PersistentVolumeClaim team-a/data is being deleted"],
            id="kept-by-the-pods-that-mount-it",
        ),
    ],
)
async def test_a_claim_that_is_being_deleted_is_none_that_new_pods_get(
    metadata: Object, found: list[str], said: list[str]
) -> None:
    cluster = Cluster(**metadata)
    world = World(cluster, [], lambda _: None, lambda _: None)  # type: ignore[arg-type]  # what it asks of an API, and no more
    world.references.caches[CLAIM].saw("ADDED", cluster.claim)

    reading = await read(SERVER, world, PLATFORM)

    assert list(reading.claims) == found
    assert [str(wait).split(":")[0] for wait in reading.waits] == said
