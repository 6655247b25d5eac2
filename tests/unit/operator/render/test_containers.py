"""What the containers of backends are given to write to."""

from typing import Any

import pytest

from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import Platform
from breakwater_operator.render.containers import init_containers

PLATFORM = Platform.parse({"namespace": "x", "images": {"runtime": "r:1"}})


def mounts(**container: Any) -> list[tuple[str, str]]:
    """Get names and paths of what a backend with this container sees."""
    backend = {"name": "main", "container": {"image": "r/i:1", "port": 3000, **container}}
    volumes = [{"name": "data", "emptyDir": {}}]
    server = McpServer.parse(
        {
            "apiVersion": "breakwater.dev/v1alpha1",
            "kind": "McpServer",
            "metadata": {"name": "web", "namespace": "x", "uid": "1"},
            "spec": {"backends": [backend], "pod": {"volumes": volumes}},
        }
    )
    (found,) = init_containers(server, PLATFORM, "r:1")
    return [(each["name"], each["mountPath"]) for each in found["volumeMounts"]]


SCRATCH = "backend-main-scratch"


def test_a_folder_that_is_named_twice_is_one() -> None:
    found = mounts(writable=["/data", "/home/breakwater", "/data"])

    assert found == [(SCRATCH, path) for path in ("/tmp", "/home/breakwater", "/data")]


@pytest.mark.parametrize("path", ["/home/breakwater", "/data"])
def test_where_a_volume_is_mounted_it_is_what_is_there(path: str) -> None:
    found = mounts(writable=["/data"], volumeMounts=[{"name": "data", "mountPath": path}])

    assert [name for name, where in found if where == path] == ["data"]
    assert len({where for _, where in found}) == len(found) == 3
