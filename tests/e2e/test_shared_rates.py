"""Rates that several pods keep together in a store in the cluster, which goes and comes back."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.support import redis
from tests.support.cluster import eventually, wait_for_account
from tests.support.installation import Installation, manifests, wait_for_reason
from tests.support.rig.requests import META, MODERN, Speaker, rpc, use

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REPLICAS, RATE, TOOL = 3, 60, "pressure_profile"
ASKED = 40
"""What each pod is asked: less than its own rate, and together twice as much as there is."""
PASSWORD = "the-password-of-the-store"
PHASES = ("together", "alone", "nobody", "again")
"""Principals, of which each has a full bucket when its turn comes."""
KEYS = {name: f"the-key-of-{name}-0123456789" for name in (*PHASES, "scout")}
NOTICED_SECONDS = 90
"""The operator asks pods how they are every 30 s."""

HARDENED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def secret(name: str, **entries: str) -> dict[str, Any]:
    metadata = {"name": name}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": entries}


class Store:
    """A Redis in the cluster."""

    def __init__(self, installation: Installation, namespace: str) -> None:
        self._installation = installation
        self._namespace = namespace
        self.address = f"store.{namespace}.svc:6379"

    def start(self) -> None:
        """Start it, with nothing in it."""
        container = {
            "name": "redis",
            "image": redis.IMAGE,
            "imagePullPolicy": "Never",
            "args": ["--save", "", "--requirepass", PASSWORD],
            "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1},
            "securityContext": HARDENED,
        }
        named = {"name": "store", "labels": {"app": "store"}}
        ports = [{"port": 6379}]
        self._installation.apply(
            self._namespace,
            {"apiVersion": "v1", "kind": "Pod", "metadata": named}
            | {"spec": {"containers": [container]}},
            {"apiVersion": "v1", "kind": "Service", "metadata": named}
            | {"spec": {"selector": {"app": "store"}, "ports": ports}},
        )
        self._kubectl("wait", "pod/store", "--for=condition=Ready", "--timeout=120s")

    def kill(self) -> None:
        """Have it gone as with the node that it ran on."""
        self._kubectl("delete", "pod", "store", "--grace-period=0", "--force", "--wait")

    def _kubectl(self, *arguments: str) -> None:
        self._installation.cluster.kubectl("-n", self._namespace, *arguments)


class Replicas:
    """The pods of the server, each asked at its own address."""

    def __init__(self, installation: Installation, namespace: str) -> None:
        self._installation = installation
        self._namespace = namespace
        self._http = httpx2.Client(timeout=30)
        self.addresses = [pod["status"]["podIP"] for pod in self._pods()]

    def _pods(self) -> list[dict[str, Any]]:
        return list(self._installation.cluster.get("pods", "-n", self._namespace)["items"])

    def lives(self) -> dict[str, int]:
        """Say which pods there are, and how often a container of each was started again."""
        return {
            pod["metadata"]["uid"]: sum(
                status["restartCount"] for status in pod["status"]["containerStatuses"]
            )
            for pod in self._pods()
        }

    def logs(self) -> str:
        """Read what they have said."""
        ours = ("-l", "breakwater.dev/server=weather", "--tail=-1")
        return self._installation.cluster.kubectl("logs", "-n", self._namespace, *ours)

    def ask(self, principal: str, address: str) -> httpx2.Response:
        """Call a tool of one pod."""
        return self._http.post(
            f"http://{address}:8080/mcp",
            headers=Speaker(MODERN, key=KEYS[principal]).headers("tools/call", TOOL),
            json=rpc("tools/call", {**use(TOOL, {"altitudes": [0]}), "_meta": META}),
        )

    def ask_in_turn(self, principal: str) -> tuple[list[httpx2.Response], float]:
        """Ask each so often, in turn; say how many more a bucket could let in meanwhile."""
        began = time.monotonic()
        answers = [self.ask(principal, each) for _ in range(ASKED) for each in self.addresses]
        return answers, (time.monotonic() - began) * RATE / 60 + 1

    def away(self, principal: str = "scout") -> list[float]:
        """Have each pod ask the store, and read whether it finds it away."""
        found = []
        for address in self.addresses:
            self.ask(principal, address)
            text = self._http.get(f"http://{address}:9464/metrics").text
            (line,) = (each for each in text.splitlines() if each.startswith("mcp_shared_rate_sto"))
            found.append(float(line.split()[1]))
        return found

    def close(self) -> None:
        self._http.close()


def shared(store: Store, when_away: str) -> dict[str, Any]:
    # The time-out is what no busy machine reaches: it is not what is tried here.
    rates = {"address": store.address, "secretName": "store", "timeout": "5s"}
    return {"sharedRates": {**rates, "whenAway": when_away}}


@pytest.fixture
def store(installation: Installation, tmp_path: Path) -> Iterator[Store]:
    """Run a store, which the platform names; afterwards it names none."""
    archive = tmp_path / "redis.tar"
    redis.write_image(archive)
    installation.cluster.load(str(archive))
    with installation.team("store") as namespace:
        wait_for_account(installation.cluster, namespace)
        made = Store(installation, namespace)
        made.start()
        installation.upgrade(**shared(made, "Local"))
        yield made
        installation.upgrade()


@pytest.fixture
def team(installation: Installation, store: Store) -> Iterator[str]:
    """Run the example with several pods and a rate; its namespace is given."""
    (manifest,) = manifests("examples/python-server/mcpserver.yaml")
    manifest["spec"] |= {
        "runtime": {"image": installation.images["python-server"]["ref"]},
        "replicas": REPLICAS,
        "access": {"keys": {"secretName": "clients"}},
        "limits": {"requestsPerMinute": {"principal": RATE}},
    }
    with installation.team("rates") as name:
        installation.apply(name, secret("clients", **KEYS), manifest)
        # Without the password pods begin, and count for themselves.
        wait_for_reason(installation, name, "weather", "Progressing", "RatesSecretMissing")
        installation.apply(name, secret("store", password=PASSWORD))
        installation.wait_ready(name, "weather")
        yield name


@pytest.fixture
def replicas(installation: Installation, team: str) -> Iterator[Replicas]:
    """Give the pods, once all of them find the store."""
    found = Replicas(installation, team)
    eventually(lambda: not any(found.away()), "pods find the store", seconds=NOTICED_SECONDS)
    yield found
    found.close()


def statuses(answers: list[httpx2.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


@pytest.mark.requirement("T4", "G5")
def test_a_rate_holds_over_all_pods_and_the_choice_while_their_store_is_gone(
    installation: Installation, team: str, store: Store, replicas: Replicas
) -> None:
    lives = replicas.lives()

    together, refilled = replicas.ask_in_turn("together")
    limited = next(each for each in together if each.status_code == 429)
    assert RATE <= statuses(together)[200] <= RATE + refilled
    assert statuses(together).keys() == {200, 429}
    assert int(limited.headers["retry-after"]) >= 1

    store.kill()
    eventually(lambda: all(replicas.away()), "pods find it away", seconds=NOTICED_SECONDS)
    alone, _ = replicas.ask_in_turn("alone")
    said = wait_for_reason(installation, team, "weather", "Degraded", "SharedRatesAway")
    logs = replicas.logs()
    assert statuses(alone) == {200: REPLICAS * ASKED}
    assert store.address in said["message"]
    assert PASSWORD not in said["message"] + logs
    assert "the store of shared rates is away" in logs
    assert installation.condition(team, "weather", "Ready")["status"] == "True"

    installation.upgrade(**shared(store, "Refuse"))
    eventually(
        lambda: {replicas.ask("scout", each).status_code for each in replicas.addresses} == {503},
        "pods know the other choice",
        seconds=NOTICED_SECONDS,
    )
    nobody, _ = replicas.ask_in_turn("nobody")
    assert statuses(nobody) == {503: REPLICAS * ASKED}
    assert all("RATES_UNAVAILABLE" in answer.text for answer in nobody)
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in nobody)

    store.start()
    eventually(lambda: not any(replicas.away()), "pods find it again", seconds=NOTICED_SECONDS)
    again, refilled = replicas.ask_in_turn("again")
    assert RATE <= statuses(again)[200] <= RATE + refilled
    assert statuses(again).keys() == {200, 429}
    assert replicas.lives() == lives
