"""A status is written at once when something turned, and now and then when only numbers did."""

from typing import Any

import pytest

from breakwater_operator.reconcile.servers import Servers
from breakwater_operator.reconcile.statuses import (
    DETAIL_SECONDS,
    ROLLOUT_SECONDS,
    ROLLOUTS_MAX,
    SOON_SECONDS,
    SPARE,
    SPARE_EVERY_SECONDS,
    Statuses,
)

Object = dict[str, Any]


class FakeApi:
    """Takes every status as it is."""

    def __init__(self) -> None:
        self.written: list[Object] = []

    async def apply(self, _: Any, manifest: Object, **__: Any) -> Object:
        self.written.append(manifest["status"])
        return manifest


class Clock:
    """Seconds that pass when told."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def status(ready: int, *, turned: str = "True", message: str = "all is well") -> Object:
    condition = {"type": "Ready", "status": turned, "reason": "Ready", "message": message}
    return {"observedGeneration": 1, "readyReplicas": ready, "conditions": [condition]}


def server(said: Object | None, name: str = "crm") -> Object:
    metadata = {"namespace": "team", "name": name, "uid": "u", "resourceVersion": "1"}
    return {"metadata": metadata} | ({"status": said} if said is not None else {})


@pytest.fixture
def ground() -> tuple[Statuses, FakeApi, Clock]:
    api, clock = FakeApi(), Clock()
    return Statuses(api, Servers(lambda *_: None), clock), api, clock  # type: ignore[arg-type]  # the one verb it uses


async def test_numbers_and_words_wait(ground: tuple[Statuses, FakeApi, Clock]) -> None:
    statuses, api, clock = ground
    await statuses.write(server(None), status(0))

    later = await statuses.write(server(status(0)), status(1, message="1 of 2"))

    assert not later.is_new
    assert later.again_seconds == pytest.approx(SOON_SECONDS)
    clock.seconds += SOON_SECONDS
    assert (await statuses.write(server(status(0)), status(2))).is_new
    assert api.written == [status(0), status(2)]


ROLLING = [{"type": "Progressing", "status": "True", "reason": "RollingOut", "message": "0"}]
BEGUN: Object = {"readyReplicas": 0, "conditions": ROLLING}


async def begin(statuses: Statuses, clock: Clock, first: Object, count: int) -> list[str]:
    servers = [f"crm-{number}" for number in range(count)]
    for name in servers:
        await statuses.write(server(None, name), first)
    clock.seconds += SOON_SECONDS
    return servers


async def test_of_many_servers_at_once_a_few_are_written_and_the_others_wait_longer(
    ground: tuple[Statuses, FakeApi, Clock],
) -> None:
    statuses, _, clock = ground
    first, later = status(0), status(1)
    servers = await begin(statuses, clock, first, 1000)

    waits = [(await statuses.write(server(first, name), later)).again_seconds for name in servers]

    assert set(waits[:SPARE]) == {None}
    assert set(waits[SPARE:]) == {DETAIL_SECONDS - SOON_SECONDS}
    clock.seconds += SPARE_EVERY_SECONDS
    one_more = [(await statuses.write(server(first, name), later)).is_new for name in servers[-2:]]
    assert one_more == [True, False]
    clock.seconds += DETAIL_SECONDS
    assert (await statuses.write(server(first, servers[-2]), status(2))).is_new


async def test_a_few_rollouts_are_followed_and_many_are_not(
    ground: tuple[Statuses, FakeApi, Clock],
) -> None:
    statuses, _, clock = ground
    later = BEGUN | {"readyReplicas": 1}
    servers = await begin(statuses, clock, BEGUN, ROLLOUTS_MAX + 1)

    wait = (await statuses.write(server(BEGUN, servers[0]), later)).again_seconds
    assert wait == DETAIL_SECONDS
    await statuses.write(server(BEGUN, servers[-1]), status(2))

    assert (await statuses.write(server(BEGUN, servers[0]), later)).is_new
    clock.seconds += ROLLOUT_SECONDS
    assert (await statuses.write(server(BEGUN, servers[1]), later)).is_new


async def test_what_turned_is_written_at_once(ground: tuple[Statuses, FakeApi, Clock]) -> None:
    statuses, api, _ = ground
    await statuses.write(server(None), status(0))

    assert (await statuses.write(server(status(0)), status(0, turned="False"))).is_new
    assert len(api.written) == 2


async def test_an_equal_status_is_not_written(ground: tuple[Statuses, FakeApi, Clock]) -> None:
    statuses, api, _ = ground

    assert not (await statuses.write(server(status(1)), status(1))).is_new
    assert api.written == []


async def test_the_number_of_sessions_waits_too(
    ground: tuple[Statuses, FakeApi, Clock],
) -> None:
    statuses, api, _ = ground
    first = status(2) | {"sessions": 1}
    await statuses.write(server(None), first)

    later = await statuses.write(server(first), first | {"sessions": 2})

    assert later.again_seconds == pytest.approx(SOON_SECONDS)
    assert api.written == [first]


async def test_a_turn_is_written_at_once_with_the_sessions_of_then(
    ground: tuple[Statuses, FakeApi, Clock],
) -> None:
    statuses, api, _ = ground
    first = status(2) | {"sessions": 1}
    await statuses.write(server(None), first)

    await statuses.write(server(first), status(2, turned="False") | {"sessions": 2})

    assert len(api.written) == 2
