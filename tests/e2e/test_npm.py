"""A server from npm in an image that the project builds, on a real node."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support import clients
from tests.support.installation import Installation, manifests
from tests.support.reports import Reports

if TYPE_CHECKING:
    from collections.abc import Iterator

TOOLS = {"echo", "get-sum", "get-tiny-image", "get-env"}


@pytest.fixture(scope="module")
def team(installation: Installation) -> Iterator[str]:
    """Serve the example in a namespace that lets in only hardened pods; its name is given."""
    (manifest,) = manifests("examples/everything-server/mcpserver.yaml")
    container = manifest["spec"]["backends"][0]["container"]
    container["image"] = installation.image("everything-server")
    with installation.team("npm") as name:
        installation.apply(name, manifest)
        installation.wait_ready(name, "everything")
        yield name


@pytest.mark.requirement("A5", "C2", "G1")
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_python_sdk_uses_a_server_from_npm(
    installation: Installation, team: str, mode: str
) -> None:
    reported = Reports()

    async with installation.client(team, "everything", mode) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        echoed = await client.call_tool("echo", {"message": mode})
        image = await client.call_tool("get-tiny-image", {})
        await client.call_tool(
            "trigger-long-running-operation",
            {"duration": 1, "steps": 2},
            progress_callback=reported,
        )
        prompts = (await client.list_prompts()).prompts
        resources = (await client.list_resources()).resources

    assert tools >= TOOLS
    assert mode in str(echoed.content)
    assert "image" in {each.type for each in image.content}
    assert reported == [1, 2]
    assert prompts
    assert resources


@pytest.mark.requirement("A5", "C2")
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_typescript_sdk_uses_a_server_from_npm(
    installation: Installation, team: str, mode: str
) -> None:
    url = f"{installation.base_url(team, 'everything')}/mcp"
    calls = [("echo", {"message": mode}), ("get-sum", {"a": 2, "b": 3})]

    ran = await clients.run(
        "calls.mjs", url, installation.key(team, "everything"), mode, json.dumps(calls)
    )

    answer = ran.json()
    assert set(answer["tools"]) >= TOOLS
    echoed, added = answer["answers"]
    assert mode in echoed["text"]
    assert "5" in added["text"]
