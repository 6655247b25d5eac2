"""Sessions of older clients through a Service in front of several pods, one of which goes away."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.cluster import eventually
from tests.support.installation import Installation, sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp.client import Client

REPLICAS, CLIENTS, ROUNDS = 3, 24, 8
DRAIN_SECONDS = 120
ALTITUDES = [0, 1000, 2000]
ROUND_SECONDS = 2


@pytest.fixture
def team(installation: Installation) -> Iterator[str]:
    """Run the example with several pods; its namespace is given."""
    limits = {"sessions": {"drain": f"{DRAIN_SECONDS}s"}}
    with installation.weather("sessions", replicas=REPLICAS, limits=limits) as name:
        yield name


async def profile(client: Client) -> list[float]:
    called = await client.call_tool("pressure_profile", {"altitudes": ALTITUDES})
    assert called.structured_content is not None
    found: list[float] = called.structured_content["result"]
    return found


def pods(installation: Installation, team: str) -> list[str]:
    items = installation.cluster.get("pods", "-n", team)["items"]
    return sorted(pod["metadata"]["name"] for pod in items)


@pytest.mark.requirement("K2", "K5", "T17")
async def test_no_session_notices_that_a_pod_goes_away(
    installation: Installation, team: str
) -> None:
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                installation.client(team, "weather", "legacy", sampling_callback=sample)
            )
            for _ in range(CLIENTS)
        ]
        first = [await profile(client) for client in clients]
        victim = pods(installation, team)[0]
        installation.cluster.kubectl("delete", "pod", "-n", team, victim, "--wait=false")
        later = []
        for _ in range(ROUNDS):
            later += await asyncio.gather(*map(profile, clients))
            await asyncio.sleep(ROUND_SECONDS)
        still_there = victim in pods(installation, team)

    # Its last session has ended, and nothing keeps it any more.
    eventually(
        lambda: victim not in pods(installation, team),
        "the pod has gone, long before the drain is over",
        seconds=DRAIN_SECONDS / 2,
    )
    assert still_there
    assert later == first * ROUNDS
