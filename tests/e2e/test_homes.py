"""A stdio server with several pods: what a principal left in one is found through each."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from tests.support.installation import Installation, manifests

if TYPE_CHECKING:
    from collections.abc import Iterator

REPLICAS, CLIENTS, ROUNDS = 3, 12, 3
AGREED_SECONDS = 60


@pytest.fixture(scope="module")
def team(installation: Installation) -> Iterator[str]:
    """Run the example with several pods; its namespace is given."""
    (manifest,) = manifests("examples/notes-server/stdio.yaml")
    container = manifest["spec"]["backends"][0]["container"]
    container["image"] = installation.images["notes-server"]["ref"]
    manifest["spec"]["replicas"] = REPLICAS
    with installation.team("homes") as name:
        installation.apply(name, manifest)
        installation.wait_ready(name, "notes")
        yield name


async def ask(installation: Installation, team: str, mode: str, tool: str, **given: str) -> str:
    """Ask over a connection of its own, which the Service leads to any pod."""
    async with installation.client(team, "notes", mode) as client:
        answer = await client.call_tool(tool, given)
    assert not answer.is_error
    return str(answer.structured_content)


@pytest.mark.requirement("A5", "W6")
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_notes_of_a_principal_are_found_whichever_pod_is_asked(
    installation: Installation, team: str, mode: str
) -> None:
    async def found_by_all(note: str) -> bool:
        await ask(installation, team, mode, "keep", text=note)
        reads = [ask(installation, team, mode, "read") for _ in range(CLIENTS)]
        return all(note in each for each in await asyncio.gather(*reads))

    async def agreed() -> None:
        for attempt in itertools.count():
            if await found_by_all(f"attempt {attempt}."):
                return
            await asyncio.sleep(1)

    await asyncio.wait_for(agreed(), AGREED_SECONDS)

    assert all([await found_by_all(f"round {each}.") for each in range(ROUNDS)])
