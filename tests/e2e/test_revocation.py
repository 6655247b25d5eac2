"""A key that is taken out of its Secret stops working on every replica, within seconds."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.support.installation import Installation, manifests

if TYPE_CHECKING:
    from collections.abc import Iterator

REPLICAS, ROUNDS = 3, 3
REVOKED_SECONDS = 3.0
"""From the change of the Secret until the last replica refuses the key."""
BOUND_SECONDS = 90
"""Kubelet looks at a pod's volumes once a minute by itself: whoever waits for that is too late."""
BYSTANDER = "the-key-of-bob-who-stays"


@pytest.fixture
def team(installation: Installation) -> Iterator[str]:
    """Give the name of a new namespace that lets in only hardened pods."""
    with installation.team("revoked") as name:
        yield name


def secret(**keys: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "clients"},
        "stringData": {"bob": BYSTANDER, **keys},
    }


def statuses(http: httpx2.Client, addresses: list[str], key: str) -> list[int]:
    headers = {"X-API-Key": key}
    return [
        http.get(f"http://{address}:8080/capabilities", headers=headers).status_code
        for address in addresses
    ]


def seconds_until(http: httpx2.Client, addresses: list[str], key: str, status: int) -> float:
    """Say how long it takes until every pod answers a key with this status."""
    began = time.monotonic()
    while set(statuses(http, addresses, key)) != {status}:
        assert time.monotonic() < began + BOUND_SECONDS, f"{key} is not answered {status}"
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.mark.requirement("A2", "K1")
def test_a_revoked_key_is_refused_by_the_last_replica_within_three_seconds(
    installation: Installation, team: str
) -> None:
    (manifest,) = manifests("examples/python-server/mcpserver.yaml")
    manifest["spec"] |= {
        "runtime": {"image": installation.images["python-server"]["ref"]},
        "replicas": REPLICAS,
        "access": {"keys": {"secretName": "clients"}},
    }
    installation.apply(team, secret(), manifest)
    installation.wait_ready(team, "weather")
    pods = installation.cluster.get("pods", "-n", team)["items"]
    addresses = [pod["status"]["podIP"] for pod in pods]

    granted, revoked = [], []
    with httpx2.Client(timeout=5) as http:
        for number in range(ROUNDS):
            key = f"alice-has-key-number-{number}"
            installation.apply(team, secret(alice=key))
            granted.append(seconds_until(http, addresses, key, 200))
            installation.cluster.kubectl(
                *("patch", "secret", "clients", "-n", team, "--type=json"),
                '-p=[{"op": "remove", "path": "/data/alice"}]',
            )
            revoked.append(seconds_until(http, addresses, key, 401))
            assert set(statuses(http, addresses, BYSTANDER)) == {200}

    assert len(addresses) == REPLICAS
    # One that a busy machine made late says nothing; a path that waits for somebody is always late.
    assert statistics.median(revoked) <= REVOKED_SECONDS
