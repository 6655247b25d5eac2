"""What pods share and what they know the operator by is replaced while sessions go on."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from breakwater_operator.reconcile.signing import ROTATED_ANNOTATION
from breakwater_operator.render.ring import FORGOTTEN_AFTER, ROTATED_AFTER, STATE_FILE
from tests.support.installation import SYSTEM, Installation, sample, wait_for_reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from mcp.client import Client

REPLICAS, CLIENTS = 2, 6
STEP_SECONDS = 180
LONG_AGO = "2000-01-01T00:00:00Z"
MARGIN = timedelta(hours=1)


@pytest.fixture
def team(installation: Installation) -> Iterator[str]:
    """Run the example with several pods; its namespace is given."""
    with installation.weather("turn", replicas=REPLICAS) as name:
        yield name


@asynccontextmanager
async def sessions(installation: Installation, team: str) -> AsyncIterator[list[Client]]:
    """Open sessions; each call goes to whichever pod the Service chooses."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                installation.client(team, "weather", "legacy", sampling_callback=sample)
            )
            for _ in range(CLIENTS)
        ]


async def call(client: Client) -> None:
    called = await client.call_tool("pressure_profile", {"altitudes": [0]})
    assert not called.is_error


def ring(installation: Installation, team: str) -> dict[str, Any]:
    secret = installation.cluster.get("-n", team, "secret/weather-internal")
    found: dict[str, Any] = json.loads(base64.b64decode(secret["data"][STATE_FILE]))
    return found


def set_back(installation: Installation, team: str, **times: timedelta) -> None:
    """Have the newest keys look older than they are."""
    state = ring(installation, team)
    newest = state["generations"][-1]
    newest |= {name: (datetime.now(UTC) - age).isoformat() for name, age in times.items()}  # noqa: TID251  pods go by the clock
    data = {STATE_FILE: base64.b64encode(json.dumps(state).encode()).decode()}
    patch(installation, "-n", team, "secret", "weather-internal", change={"data": data})


def patch(installation: Installation, *what: str, change: dict[str, Any]) -> None:
    installation.cluster.kubectl("patch", *what, "--type=merge", f"-p={json.dumps(change)}")


async def calls_until(clients: list[Client], true: Callable[[], object], what: str) -> None:
    """Have every session called again and again until something is true."""
    try:
        async with asyncio.timeout(STEP_SECONDS):
            while not await asyncio.to_thread(true):
                await asyncio.gather(*map(call, clients))
    except TimeoutError:
        pytest.fail(f"not within {STEP_SECONDS} s: {what}")
    await asyncio.gather(*map(call, clients))


def is_quiet(installation: Installation, team: str) -> bool:
    condition = installation.condition(team, "weather", "Progressing")
    return bool(condition["status"] == "False")


@pytest.mark.requirement("G4", "K5")
async def test_sessions_go_on_while_keys_and_certificates_of_pods_are_replaced(
    installation: Installation, team: str
) -> None:
    before = ring(installation, team)["generations"]

    def generations() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = ring(installation, team)["generations"]
        return found

    async with sessions(installation, team) as early:
        set_back(installation, team, made=ROTATED_AFTER + MARGIN)
        await calls_until(early, lambda: len(generations()) > 1, "new ones are known")
        await calls_until(
            early, lambda: generations()[-1].get("usedSince"), "and used, once all know them"
        )
        await calls_until(early, lambda: is_quiet(installation, team), "all pods use them")
    # Sessions last a day and the old keys longer: none of those is left when they are forgotten.
    async with sessions(installation, team) as later:
        set_back(installation, team, usedSince=FORGOTTEN_AFTER + MARGIN)
        await calls_until(later, lambda: len(generations()) == 1, "the old ones are forgotten")
        await calls_until(later, lambda: is_quiet(installation, team), "by all pods")

    (last,) = generations()
    assert {last[name] for name in ("id", "secret", "certificate", "key")}.isdisjoint(
        before[0].values()
    )


async def test_the_operators_key_is_replaced_and_no_probe_is_refused(
    installation: Installation, team: str
) -> None:
    def published() -> list[str]:
        live = installation.cluster.get("-n", team, "configmap/weather-live")["data"]["v1.json"]
        return [key["kid"] for key in json.loads(live)["operatorKeys"]]

    (first,) = published()
    wait_for_reason(installation, team, "weather", "Verified", "Verified")
    verified = installation.condition(team, "weather", "Verified")
    change = {"metadata": {"annotations": {ROTATED_ANNOTATION: LONG_AGO}}}
    patch(installation, "-n", SYSTEM, "secret", "breakwater-signing-key", change=change)
    async with sessions(installation, team) as clients:
        await calls_until(
            clients, lambda: len(keys := published()) == 1 and keys != [first], "another key"
        )
        await calls_until(clients, lambda: is_quiet(installation, team), "all pods know it")

    pods = installation.cluster.get("pods", "-n", team)["items"]
    logs = [
        installation.cluster.kubectl("logs", "-n", team, pod["metadata"]["name"], "-c", "runtime")
        for pod in pods
    ]
    assert installation.condition(team, "weather", "Verified") == verified
    assert not any("operator token refused" in log for log in logs)
