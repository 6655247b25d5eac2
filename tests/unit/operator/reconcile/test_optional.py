"""Kinds that not every cluster knows: found, followed, given up, and waited for only so long."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import CERTIFICATE, HTTP_ROUTE, SERVICE_MONITOR, Kind
from breakwater_operator.reconcile import optional
from breakwater_operator.reconcile.optional import OptionalKinds
from breakwater_operator.reconcile.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

POLL_SECONDS = 0.02


class FakeApi:
    """A cluster that knows some kinds, and cannot list some of these."""

    def __init__(self) -> None:
        self.known: set[Kind] = set()
        self.broken: set[Kind] = set()
        self.forbidden: set[str | None] = set()
        self.starts = 0
        """How many more looks find an API server that has just been started."""
        self.looked = asyncio.Event()

    async def discover(self, etag: str) -> tuple[list[Any], str] | None:
        if self.starts:
            self.starts -= 1
            return [], "just started"
        self.looked.set()
        now = ",".join(sorted(kind.plural for kind in self.known)) or "none"
        if now == etag:
            return None
        groups = []
        for kind in self.known:
            group, _, version = kind.api_version.partition("/")
            of = {"version": version, "resources": [{"resource": kind.plural}]}
            groups.append({"metadata": {"name": group}, "versions": [of]})
        return groups, now

    async def chunks(
        self, kind: Kind, namespace: str | None, **_: Any
    ) -> AsyncIterator[tuple[list[Any], str]]:
        if kind in self.broken:
            raise ApiError("conversion webhook failed", status=500)
        if namespace in self.forbidden:
            raise ApiError("forbidden", status=403)
        yield [], "1"

    async def watch(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield {}


class Ground:
    """What looks at that cluster, and how often it told of a change."""

    def __init__(self, *namespaces: str) -> None:
        self.api = FakeApi()
        api: Any = self.api
        self.world = World(api, namespaces, lambda _: None, lambda _: None)
        self.told = 0
        self.optional = OptionalKinds(api, self.world, self._tell)

    def _tell(self) -> None:
        self.told += 1

    async def until(self, *kinds: Kind) -> None:
        """Wait until these are taken up, and no others."""
        async with asyncio.timeout(10):
            while self.world.kinds != {kind.name for kind in kinds}:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)


@pytest.fixture
def ground(monkeypatch: pytest.MonkeyPatch) -> Ground:
    monkeypatch.setattr(optional, "POLL_SECONDS", POLL_SECONDS)
    monkeypatch.setattr(optional, "SURE_SECONDS", POLL_SECONDS)
    monkeypatch.setattr(optional, "LATE_SECONDS", 0.1)
    made = Ground()
    made.api.known = {CERTIFICATE, HTTP_ROUTE}
    return made


async def run(ground: Ground) -> asyncio.Task[None]:
    task = asyncio.create_task(ground.optional.run())
    async with asyncio.timeout(10):
        await ground.optional.looked.wait()
    return task


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_kinds_that_are_there_are_listed_before_the_first_look_is_over(
    ground: Ground,
) -> None:
    task = await run(ground)

    assert ground.world.kinds == {"Certificate", "HTTPRoute"}
    assert ground.told == 1
    await stop(task)


async def test_a_kind_that_cannot_be_listed_holds_up_nothing_else_and_is_taken_up_later(
    ground: Ground,
) -> None:
    ground.api.broken = {CERTIFICATE}

    task = await run(ground)

    assert ground.world.kinds == {"HTTPRoute"}
    ground.api.known.add(SERVICE_MONITOR)
    await ground.until(HTTP_ROUTE, SERVICE_MONITOR)
    ground.api.broken.clear()
    await ground.until(HTTP_ROUTE, SERVICE_MONITOR, CERTIFICATE)
    assert ground.told == 3
    await stop(task)


async def test_a_kind_that_goes_is_given_up(ground: Ground) -> None:
    task = await run(ground)

    ground.api.known = {HTTP_ROUTE}

    await ground.until(HTTP_ROUTE)
    assert [one.kind for one in ground.optional.informers] == [HTTP_ROUTE]
    await stop(task)
    assert ground.optional.informers == []


async def test_a_kind_that_is_missed_once_is_not_given_up(ground: Ground) -> None:
    task = await run(ground)
    before = ground.optional.informers

    ground.api.starts = 1
    ground.api.looked.clear()
    async with asyncio.timeout(10):
        await ground.api.looked.wait()

    assert ground.optional.informers == before
    assert ground.world.kinds == {"Certificate", "HTTPRoute"}
    assert ground.told == 1
    await stop(task)


async def test_nothing_is_told_while_nothing_changes(ground: Ground) -> None:
    task = await run(ground)

    await asyncio.sleep(5 * POLL_SECONDS)

    assert ground.told == 1
    await stop(task)


async def test_a_namespace_that_may_not_be_read_keeps_no_kind_from_the_others(
    ground: Ground,
) -> None:
    here = Ground("stays", "gone")
    here.api.known, here.api.forbidden = ground.api.known, {"gone"}

    task = await run(here)

    assert here.world.kinds == {"Certificate", "HTTPRoute"}
    await stop(task)


async def test_a_kind_that_may_be_read_nowhere_is_not_taken_up(ground: Ground) -> None:
    ground.api.forbidden = {None}

    task = await run(ground)

    assert ground.world.kinds == set()
    await stop(task)
