"""The health of servers as metrics: what is counted, of whom, and when it begins anew."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from kubernetes.aio.client import Configuration
from prometheus_client import CollectorRegistry

from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.kinds import DEPLOYMENT
from breakwater_operator.probe.prober import Target
from breakwater_operator.probe.rounds import FAILURES_MAX, Followed, Rounds
from breakwater_operator.reconcile.healths import PART_SECONDS, PARTS, Healths
from breakwater_operator.reconcile.world import World
from breakwater_operator.status.facts import Probe, ServerInfo

CRM = ("team-a", "crm")
WELL = Probe(reached=True, live="one")


class FakeProber:
    """Answers what a test says."""

    def __init__(self) -> None:
        self.answer = WELL

    async def health(self, target: Target) -> Probe:
        del target
        return self.answer

    async def handshake(self, target: Target) -> ServerInfo:
        del target
        return ServerInfo("crm", "1", (), 1)

    async def close(self) -> None:
        """There is nothing to close."""


def followed(*, is_ready: bool = True) -> Followed:
    return Followed(Target("p", "198.18.0.1", "uid", CRM), 0, is_ready)


@dataclass
class Ground:
    """Looks that are made when a test says so."""

    prober: FakeProber = field(default_factory=FakeProber)
    slept: int = 0
    until: int = 0

    def __post_init__(self) -> None:
        api = KubeApi(Configuration(), lambda *_: None)
        self.rounds = Rounds(self.prober, lambda _: None, lambda _: None)
        self.world = World(api, (), lambda _: None, lambda _: None)
        self.healths = Healths(self.rounds, self.world, self._sleep)
        self.registry = CollectorRegistry()
        self.registry.register(self.healths)

    async def _sleep(self, seconds: float) -> None:
        assert seconds == PART_SECONDS
        await asyncio.sleep(0)
        self.slept += 1
        if self.slept > self.until:
            await asyncio.Event().wait()

    async def look(self, rounds: int = 1) -> None:
        """Look at everything so many times."""
        self.slept, self.until = 0, rounds * PARTS
        task = asyncio.create_task(self.healths.run())
        async with asyncio.timeout(5):
            while self.slept <= self.until:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0)
        self.counted = self._counted()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def _counted(self) -> dict[str, float]:
        """What is shown of the server, but for zeros of outcomes."""
        samples = [one for family in self.registry.collect() for one in family.samples]
        return {
            one.labels.get("outcome", "failures"): one.value
            for one in samples
            if one.value or "outcome" not in one.labels
        }

    def deployed(self, replicas: int) -> None:
        metadata = {"namespace": "team-a", "name": "crm-a", "uid": "u", "resourceVersion": "1"}
        found: dict[str, Any] = {
            "kind": "Deployment",
            "metadata": {**metadata, "labels": {}},
            "spec": {"replicas": replicas},
        }
        self.world.children[DEPLOYMENT].saw("ADDED", found)


@pytest.fixture
def ground() -> Ground:
    return Ground()


async def test_a_server_that_answers_is_healthy_at_each_look(ground: Ground) -> None:
    await ground.rounds.follow(CRM, [followed()], "one")

    await ground.look(rounds=3)

    assert ground.counted == {"healthy": 3, "failures": 0}
    await ground.rounds.close()


async def test_a_server_without_a_pod_is_unhealthy_as_long_as_pods_are_wanted(
    ground: Ground,
) -> None:
    ground.deployed(replicas=2)
    await ground.rounds.follow(CRM, [], "one")

    await ground.look(rounds=3)

    assert ground.counted == {"unhealthy": 3, "failures": 3}


@pytest.mark.parametrize("replicas", [0, None])
async def test_nobody_finds_fault_with_a_server_that_wants_no_pods(
    ground: Ground, replicas: int | None
) -> None:
    if replicas is not None:
        ground.deployed(replicas)
    await ground.rounds.follow(CRM, [], "one")

    await ground.look()

    assert ground.counted == {}


async def test_pods_that_are_ready_and_do_not_answer_are_told_from_those_that_are_not(
    ground: Ground,
) -> None:
    ground.deployed(replicas=2)
    ground.prober.answer = Probe(reached=False, fault="no route")
    await ground.rounds.follow(CRM, [followed()], "one")
    await ground.look()
    unreached = ground.counted

    await ground.rounds.follow(CRM, [followed(is_ready=False)], "one")
    await ground.look()

    assert unreached == {"unreached": 1, "failures": 1}
    assert ground.counted == {"unhealthy": 1, "failures": 1}
    await ground.rounds.close()


async def test_failures_in_a_row_end_with_the_first_good_look(ground: Ground) -> None:
    ground.deployed(replicas=2)
    await ground.rounds.follow(CRM, [], "one")
    looking = asyncio.create_task(ground.look(rounds=FAILURES_MAX + 4))
    while ground.slept < FAILURES_MAX * PARTS:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
    assert ground._counted()["failures"] >= FAILURES_MAX - 1

    await ground.rounds.follow(CRM, [followed()], "one")
    await looking

    assert ground.counted["failures"] == 0
    assert ground.counted["healthy"] >= 1
    await ground.rounds.close()


async def test_nothing_is_shown_of_a_server_that_is_gone_or_by_who_no_longer_leads(
    ground: Ground,
) -> None:
    ground.deployed(replicas=2)
    await ground.rounds.follow(CRM, [], "one")
    await ground.look()
    assert ground.counted != {}
    after = ground._counted()

    ground.rounds.drop(CRM)
    await ground.look()

    assert after == {}
    assert ground.counted == {}


async def test_a_server_that_was_never_asked_is_not_judged(ground: Ground) -> None:
    ground.deployed(replicas=2)

    await ground.look()

    assert ground.counted == {}
