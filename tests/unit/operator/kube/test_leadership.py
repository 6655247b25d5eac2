"""Who leads, who waits, and when a leader stops."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.leadership import Leadership, Terms

Object = dict[str, Any]
WHERE = ("breakwater-system", "breakwater")
TERMS = Terms(renew_seconds=0.005, look_seconds=0.005)
WHEN = datetime(2026, 11, 21, 9, tzinfo=UTC)


class Cluster:
    """One Lease, as an API server keeps it."""

    def __init__(self) -> None:
        self.lease: Object | None = None
        self.is_away = False
        self.version = 0

    async def get(self, *_: Any) -> Object:
        await asyncio.sleep(0)
        self._answers()
        if self.lease is None:
            raise ApiError("no such Lease", status=404)
        return self.lease

    async def create(self, _: Any, lease: Object, **__: Any) -> Object:
        await asyncio.sleep(0)
        self._answers()
        if self.lease is not None:
            raise ApiError("there is one", status=409)
        return self._keep(lease)

    async def replace(self, _: Any, lease: Object, **__: Any) -> Object:
        await asyncio.sleep(0)
        self._answers()
        if self.lease is None:
            raise ApiError("no such Lease", status=404)
        if lease["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise ApiError("it changed", status=409)
        return self._keep(lease)

    def _answers(self) -> None:
        if self.is_away:
            raise ApiError("nobody answers")

    def _keep(self, lease: Object) -> Object:
        self.version += 1
        metadata = lease["metadata"] | {"resourceVersion": str(self.version)}
        self.lease = lease | {"metadata": metadata}
        return self.lease


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Process:
    """One replica."""

    def __init__(self, cluster: Cluster, clock: Clock, name: str) -> None:
        self.leadership = Leadership(
            cluster,  # type: ignore[arg-type]  # what it asks of an API, and no more
            WHERE,
            name,
            lambda: WHEN,
            terms=TERMS,
            clock=clock,
        )
        self.terms_led = 0
        self.is_working = False
        self.task = asyncio.create_task(self.leadership.run(self.lead))

    async def lead(self) -> None:
        self.terms_led += 1
        self.is_working = True
        try:
            await asyncio.Event().wait()
        finally:
            self.is_working = False

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def until(is_so: Any) -> None:
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.002)


async def test_one_leads_and_the_other_waits() -> None:
    cluster, clock = Cluster(), Clock()
    first = Process(cluster, clock, "first")
    await until(lambda: first.is_working)

    second = Process(cluster, clock, "second")
    await asyncio.sleep(0.05)

    assert (first.leadership.leads, second.leadership.leads) == (True, False)
    assert cluster.lease is not None
    assert cluster.lease["spec"] == {
        "holderIdentity": "first",
        "leaseDurationSeconds": 15,
        "renewTime": "2026-11-21T09:00:00.000000Z",
        "acquireTime": "2026-11-21T09:00:00.000000Z",
        "leaseTransitions": 0,
    }
    await first.stop()
    await second.stop()


async def test_one_that_stops_gives_the_lease_up() -> None:
    cluster, clock = Cluster(), Clock()
    first = Process(cluster, clock, "first")
    await until(lambda: first.is_working)
    second = Process(cluster, clock, "second")

    await first.stop()
    await until(lambda: second.is_working)

    assert not first.leadership.leads
    assert not first.is_working
    assert cluster.lease is not None
    assert cluster.lease["spec"]["leaseTransitions"] == 1
    await second.stop()


@pytest.mark.parametrize("leads", [True, False], ids=["leader", "waiting"])
async def test_who_does_not_get_at_the_lease_says_so_until_it_does(*, leads: bool) -> None:
    cluster, clock = Cluster(), Clock()
    other = Process(cluster, clock, "other")
    await until(lambda: other.is_working)
    one = other if leads else Process(cluster, clock, "one")
    await until(lambda: one.leadership.fault() is None)

    cluster.is_away = True
    clock.seconds += TERMS.deadline_seconds
    quiet = one.leadership.fault()
    clock.seconds += 2
    said = one.leadership.fault()
    cluster.is_away = False

    assert (quiet, said) == (None, "the Lease was last read 12 s ago")
    await until(lambda: one.leadership.fault() is None)
    for process in {id(one): one, id(other): other}.values():
        await process.stop()


async def test_who_has_never_read_the_lease_says_so() -> None:
    cluster = Cluster()
    cluster.is_away = True
    one = Process(cluster, Clock(), "one")
    await asyncio.sleep(0.02)

    assert one.leadership.fault() == "the Lease is not read yet"
    await one.stop()


async def test_a_silent_leader_stops_before_another_one_begins() -> None:
    cluster, clock = Cluster(), Clock()
    first = Process(cluster, clock, "first")
    await until(lambda: first.is_working)

    cluster.is_away = True
    clock.seconds += 10.0

    assert not first.leadership.leads
    await until(lambda: not first.is_working)
    cluster.is_away = False
    await until(lambda: first.is_working)
    assert first.terms_led == 2
    await first.stop()


async def test_a_lease_lasts_from_when_it_was_seen_renewed() -> None:
    cluster, clock = Cluster(), Clock()
    dead = Process(cluster, clock, "dead")
    await until(lambda: dead.is_working)
    held = cluster.lease
    dead.task.cancel()
    await asyncio.gather(dead.task, return_exceptions=True)
    cluster.lease = held
    second = Process(cluster, clock, "second")

    await asyncio.sleep(0.05)
    clock.seconds += 14.9
    await asyncio.sleep(0.05)
    assert not second.is_working

    clock.seconds += 0.2
    await until(lambda: second.is_working)
    await second.stop()


async def test_the_same_name_takes_its_own_lease_over_at_once() -> None:
    cluster, clock = Cluster(), Clock()
    first = Process(cluster, clock, "pod")
    await until(lambda: first.is_working)
    held = cluster.lease
    await first.stop()
    cluster.lease = held

    again = Process(cluster, clock, "pod")

    await until(lambda: again.is_working)
    await again.stop()


async def test_a_leader_that_sees_another_holder_stops_at_once() -> None:
    cluster, clock = Cluster(), Clock()
    first = Process(cluster, clock, "first")
    await until(lambda: first.is_working)

    assert cluster.lease is not None
    cluster._keep(cluster.lease | {"spec": cluster.lease["spec"] | {"holderIdentity": "somebody"}})

    await until(lambda: not first.is_working)
    assert not first.leadership.leads
    assert cluster.lease["spec"]["holderIdentity"] == "somebody"
    await first.stop()
    assert cluster.lease["spec"]["holderIdentity"] == "somebody"


@pytest.mark.parametrize("edit", [{"annotations": {"note": "seen"}}, None])
async def test_a_lease_that_others_edit_or_delete_is_kept(edit: Object | None) -> None:
    cluster, clock = Cluster(), Clock()
    first = Process(cluster, clock, "first")
    await until(lambda: first.is_working)
    assert cluster.lease is not None
    before = cluster.version

    if edit is None:
        cluster.lease = None
    else:
        cluster._keep(cluster.lease | {"metadata": cluster.lease["metadata"] | edit})
    await until(lambda: cluster.lease is not None and cluster.version > before + 2)

    assert first.terms_led == 1
    assert first.leadership.leads
    await first.stop()


async def test_a_lease_that_says_nothing_is_nobodys() -> None:
    cluster = Cluster()
    cluster._keep({"metadata": {}})

    first = Process(cluster, Clock(), "first")

    await until(lambda: first.is_working)
    await first.stop()


async def test_work_that_ends_by_itself_ends_the_election() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    leadership = Leadership(
        Cluster(),  # type: ignore[arg-type]  # what it asks of an API, and no more
        WHERE,
        "first",
        lambda: WHEN,
        terms=TERMS,
    )

    with pytest.raises(ValueError, match="broken"):
        await leadership.run(fail)
    assert not leadership.leads
