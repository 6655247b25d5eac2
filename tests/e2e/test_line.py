"""The whole line on a real node: manifest, operator, pods, Service, client."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.support.cluster import eventually
from tests.support.installation import (
    KIND,
    READY_SECONDS,
    Installation,
    manifests,
    wait_for_reason,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CHILDREN = "deployments,services,secrets,configmaps,serviceaccounts,controllerrevisions,pods"
OUTSIDE = [
    pytest.param("../../etc/passwd", id="parent"),
    pytest.param("/etc/passwd", id="absolute"),
    pytest.param("a\0b", id="nul"),
    pytest.param("a" * 1_000_000, id="a-megabyte"),
]


@pytest.fixture
def team(installation: Installation) -> Iterator[str]:
    """Give the name of a new namespace that lets in only hardened pods."""
    with installation.team("team") as name:
        yield name


@pytest.fixture(scope="module")
def changes(installation: Installation) -> Iterator[str]:
    """Run the example of the README's demo; its namespace is given."""
    with installation.team("changes") as name:
        installation.apply(name, *manifests("examples/changes.yaml"))
        installation.wait_ready(name, "changes")
        yield name


def weather(installation: Installation, **spec: Any) -> dict[str, Any]:
    """Take the other example, with the image that was built."""
    (manifest,) = manifests("examples/python-server/mcpserver.yaml")
    manifest["spec"]["runtime"] = {"image": installation.images["python-server"]["ref"]}
    manifest["spec"] |= spec
    return manifest


@pytest.mark.requirement("C1", "C2", "C3", "C4", "T6")
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_of_either_era_opens_and_archives_a_change(
    installation: Installation, changes: str, mode: str
) -> None:
    change = {"changeId": f"greet-{mode}", "title": "Greet", "why": "To be polite.", "tasks": []}

    async with installation.client(changes, "changes", mode) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        opened = await client.call_tool("change.open", change)
        proposal = await client.read_resource(f"changes://greet-{mode}/proposal")
        archived = await client.call_tool("change.archive", {"changeId": f"greet-{mode}"})

    assert tools == {"change.open", "change.archive"}
    assert not opened.is_error
    assert "To be polite." in str(proposal.contents)
    assert not archived.is_error


@pytest.mark.requirement("T5", "T6")
@pytest.mark.parametrize("change_id", OUTSIDE)
async def test_nothing_outside_the_volume_can_be_named(
    installation: Installation, changes: str, change_id: str
) -> None:
    async with installation.client(changes, "changes") as client:
        answer = await client.call_tool("change.open", {"changeId": change_id, "title": "x"})

    assert answer.is_error
    assert "root:" not in str(answer.content)
    assert len(str(answer.content)) < 2_000


async def test_a_name_of_ten_megabytes_is_refused_and_the_server_goes_on(
    installation: Installation, changes: str
) -> None:
    call = {"name": "change.open", "arguments": {"changeId": "a" * 10_000_000, "title": "x"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {
        "X-API-Key": installation.key(changes, "changes"),
        "Accept": "application/json, text/event-stream",
    }

    async with httpx2.AsyncClient(timeout=30) as http:
        url = f"{installation.base_url(changes, 'changes')}/mcp"
        answer = await http.post(url, json=message, headers=headers)
    async with installation.client(changes, "changes") as client:
        tools = await client.list_tools()

    assert answer.status_code == 413
    assert answer.json()["error"]["data"]["code"] == "BODY_TOO_LARGE"
    assert tools.tools


@pytest.mark.requirement("A2", "G5")
@pytest.mark.parametrize("key", [None, "wrong"])
@pytest.mark.parametrize(
    "path", ["/", "/mcp", "/mcp/", "/rpc", "/tools", "/metrics", "/health", "/ready", "/nothing"]
)
async def test_the_public_port_is_closed_without_a_key(
    installation: Installation, changes: str, path: str, key: str | None
) -> None:
    headers = {"X-API-Key": key} if key else {}

    async with httpx2.AsyncClient() as http:
        url = f"{installation.base_url(changes, 'changes')}{path}"
        codes = {
            (await http.request(method, url, headers=headers)).status_code
            for method in ("GET", "POST", "PUT", "DELETE", "HEAD")
        }

    assert codes == {401}


@pytest.mark.parametrize("path", ["/metrics", "/health", "/health/live", "/ready", "/metrics.json"])
async def test_management_is_not_on_the_public_port(
    installation: Installation, changes: str, path: str
) -> None:
    headers = {"X-API-Key": installation.key(changes, "changes")}

    async with httpx2.AsyncClient() as http:
        answer = await http.get(
            f"{installation.base_url(changes, 'changes')}{path}", headers=headers
        )

    assert answer.status_code == 404


def test_the_server_is_listed_waited_for_and_runs_hardened(
    installation: Installation, changes: str
) -> None:
    wait_for_reason(installation, changes, "changes", "Verified", "Verified")
    table = installation.cluster.kubectl("get", "-n", changes, KIND)
    (pod,) = installation.cluster.get("pods", "-n", changes)["items"]

    assert table.splitlines()[0].split()[:5] == ["NAME", "READY", "REASON", "URL", "REVISION"]
    assert table.splitlines()[1].split()[:3] == ["changes", "True", "Ready"]
    assert installation.condition(changes, "changes", "Verified")["status"] == "True"
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


async def test_an_image_of_ones_own_serves_on_two_replicas_and_is_scaled(
    installation: Installation, team: str
) -> None:
    installation.apply(team, weather(installation))
    installation.wait_ready(team, "weather")
    async with installation.client(team, "weather") as client:
        tools = (await client.list_tools()).tools

    installation.cluster.kubectl("scale", "-n", team, f"{KIND}/weather", "--replicas=1")
    eventually(
        lambda: installation.server(team, "weather")["status"]["readyReplicas"] == 1,
        "one pod is left after kubectl scale",
        seconds=READY_SECONDS,
    )

    assert tools
    assert installation.cluster.get("-n", team, "deployment/weather-a")["spec"]["replicas"] == 1


async def test_keys_are_waited_for_and_changes_of_them_reach_running_pods(
    installation: Installation, team: str
) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "clients"},
        "stringData": {"alice": "the-first-key-of-alice"},
    }
    access = {"keys": {"secretName": "clients"}}
    installation.apply(team, weather(installation, access=access, replicas=1))
    waiting = wait_for_reason(installation, team, "weather", "Ready", "KeySecretMissing")

    installation.apply(team, secret)
    installation.wait_ready(team, "weather")
    pods = installation.cluster.get("pods", "-n", team)["items"]
    secret["stringData"] = {"alice": "the-second-key-of-alice"}
    installation.apply(team, secret)
    url = f"{installation.base_url(team, 'weather')}/tools"

    def status(key: str) -> int:
        return httpx2.get(url, headers={"X-API-Key": key}, timeout=30).status_code

    eventually(lambda: status("the-first-key-of-alice") == 401, "the old key is refused")

    assert f"Secret {team}/clients" in waiting["message"]
    assert status("the-second-key-of-alice") == 404
    assert [pod["metadata"]["uid"] for pod in pods] == [
        pod["metadata"]["uid"] for pod in installation.cluster.get("pods", "-n", team)["items"]
    ]


def test_a_server_that_cannot_start_says_why_and_heals_when_mended(
    installation: Installation, team: str
) -> None:
    wrong = weather(installation, backends=[{"python": {"server": "wether.main:mcp"}}], replicas=1)
    installation.apply(team, wrong)
    degraded = wait_for_reason(installation, team, "weather", "Degraded", "ContainerCrashing")

    installation.apply(team, weather(installation, replicas=1))
    installation.wait_ready(team, "weather")

    assert "wether" in degraded["message"]
    # The pod that crashed may be on its way out.
    eventually(
        lambda: installation.condition(team, "weather", "Degraded")["status"] == "False",
        "nothing is wrong any more",
        seconds=READY_SECONDS,
    )


def test_every_deleted_child_comes_back_and_all_go_with_the_server(
    installation: Installation, team: str
) -> None:
    kubectl = installation.cluster.kubectl
    installation.apply(team, weather(installation, replicas=1))
    installation.wait_ready(team, "weather")
    ours = ("-n", team, "-l", "breakwater.dev/server=weather")
    before = set(kubectl("get", CHILDREN, *ours, "-o", "name").split())

    kubectl("delete", "deployment,service,secret,configmap,sa,controllerrevision", *ours)
    eventually(
        lambda: (
            before - set(kubectl("get", CHILDREN, *ours, "-o", "name").split())
            == {name for name in before if name.startswith("pod/")}
        ),
        "every child is there again",
        seconds=READY_SECONDS,
    )
    installation.wait_ready(team, "weather")
    kubectl("delete", "-n", team, f"{KIND}/weather")
    eventually(
        lambda: not json.loads(kubectl("get", CHILDREN, *ours, "-o", "json"))["items"],
        "nothing of the server is left",
        seconds=90,
    )
