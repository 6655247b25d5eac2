"""What the containers of backends are given to write to."""

from typing import Any

import pytest

from breakwater_contract.backends import Http
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import Platform
from breakwater_operator.render.containers import init_containers, settings

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
    (found,) = init_containers(server, PLATFORM, "r:1", {})
    return [(each["name"], each["mountPath"]) for each in found["volumeMounts"]]


SCRATCH = "backend-main-scratch"
LIMITED = {"limits": {"cpu": "1"}}


def test_a_folder_that_is_named_twice_is_one() -> None:
    found = mounts(writable=["/data", "/home/breakwater", "/data"])

    assert found == [(SCRATCH, path) for path in ("/tmp", "/home/breakwater", "/data")]


@pytest.mark.parametrize("path", ["/home/breakwater", "/data"])
def test_where_a_volume_is_mounted_it_is_what_is_there(path: str) -> None:
    found = mounts(writable=["/data"], volumeMounts=[{"name": "data", "mountPath": path}])

    assert [name for name, where in found if where == path] == ["data"]
    assert len({where for _, where in found}) == len(found) == 3


def listening(**container: Any) -> tuple[list[dict[str, Any]], Http | None]:
    """Get the containers of a server that listens, and what the runtime is told."""
    backend = {"name": "main", "container": {"image": "r/i:1", "port": 3000, **container}}
    server = McpServer.parse(
        {
            "apiVersion": "breakwater.dev/v1alpha1",
            "kind": "McpServer",
            "metadata": {"name": "web", "namespace": "x", "uid": "1"},
            "spec": {"backends": [backend]},
        }
    )
    told = settings(server.spec.backends[0], server)
    return init_containers(server, PLATFORM, "r:1", LIMITED), told.http


def test_a_command_that_is_written_out_has_the_helper_as_its_parent() -> None:
    (installs, sidecar), http = listening(command=["crm"], args=["--host", "127.0.0.1"])

    assert installs["name"] == "helper"
    # A quota that wants limits wants them of this one too.
    assert installs["resources"] == LIMITED
    assert sidecar["command"] == ["/run/breakwater/bin/breakwater-child"]
    assert sidecar["args"][-4:] == ["--", "crm", "--host", "127.0.0.1"]
    assert http is not None
    assert http.socket == "/run/breakwater/main/child"
    assert http.user == sidecar["securityContext"]["runAsUser"]


def test_an_images_own_command_is_left_to_kubelet() -> None:
    (sidecar,), http = listening(args=["--host", "127.0.0.1"])

    assert "command" not in sidecar
    assert sidecar["args"] == ["--host", "127.0.0.1"]
    assert http is not None
    assert (http.socket, http.user) == (None, None)
