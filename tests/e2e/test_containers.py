"""Servers in images of their own, on a real node: commands behind the helper, and over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import clients
from tests.support.cluster import eventually
from tests.support.installation import Installation, manifests, wait_for_reason

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = "examples/notes-server"


@pytest.fixture(scope="module")
def team(installation: Installation) -> Iterator[str]:
    """Give a namespace that lets in only hardened pods."""
    with installation.team("images") as name:
        yield name


def example(installation: Installation, file: str, name: str, **container: Any) -> dict[str, Any]:
    """Take an example, with the image that was built."""
    (manifest,) = manifests(f"{EXAMPLES}/{file}")
    manifest["metadata"]["name"] = name
    backend = manifest["spec"]["backends"][0]["container"]
    backend |= {"image": installation.images["notes-server"]["ref"], **container}
    return manifest


async def _text(client: Any, tool: str, **arguments: Any) -> str:
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error
    return str(answer.content[0].text)


@pytest.mark.requirement("C1", "C2", "A5")
@pytest.mark.parametrize("file", ["stdio.yaml", "http.yaml"])
async def test_an_image_is_served_to_clients_of_both_eras(
    installation: Installation, team: str, file: str
) -> None:
    name = file.partition(".")[0]
    installation.apply(team, example(installation, file, name))
    installation.wait_ready(team, name)

    for mode in ("auto", "legacy"):
        async with installation.client(team, name, mode) as client:
            assert await _text(client, "keep", text=mode)
            place = json.loads(await _text(client, "whereabouts"))
        assert place["user"] == 65533

    url = f"{installation.base_url(team, name)}/mcp"
    tools = (await clients.run("tools.mjs", url, installation.key(team, name))).json()
    assert tools == ["keep", "read", "whereabouts"]


def test_a_server_that_other_pods_reach_does_not_get_ready(
    installation: Installation, team: str
) -> None:
    args = ["--port", "8000", "--host", "0.0.0.0"]
    installation.apply(team, example(installation, "http.yaml", "open", args=args))

    found = wait_for_reason(installation, team, "open", "Degraded", "BackendExposed")

    assert "0.0.0.0:8000" in found["message"]
    assert "127.0.0.1" in found["message"]
    assert installation.condition(team, "open", "Ready")["status"] == "False"

    installation.apply(team, example(installation, "http.yaml", "open"))
    installation.wait_ready(team, "open")


async def test_nothing_of_a_command_is_left_when_its_children_are_gone(
    installation: Installation, team: str
) -> None:
    installation.apply(team, example(installation, "stdio.yaml", "gone"))
    installation.wait_ready(team, "gone")
    async with installation.client(team, "gone") as client:
        place = json.loads(await _text(client, "whereabouts"))
    assert _lives(place["home"])

    installation.cluster.kubectl("delete", "pod", "-n", team, "-l", "breakwater.dev/server=gone")

    eventually(lambda: not _lives(place["home"]), "no process of the old pod is left")


def _lives(home: str) -> bool:
    """Say whether a process on this machine, which is the node, has a home folder."""
    found = f"HOME={home}".encode()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if found in environment.read_bytes().split(b"\0"):
                return True
        except OSError:
            continue
    return False
