"""An informer goes on from where it was, and lists anew only when it must."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from breakwater_operator.kube.cache import Cache
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.informer import Informer
from breakwater_operator.kube.kinds import SERVICE

Object = dict[str, Any]


def thing(name: str, version: int) -> Object:
    return {
        "metadata": {
            "namespace": "ns",
            "name": name,
            "uid": name,
            "resourceVersion": str(version),
        }
    }


def event(kind: str, name: str, version: int) -> Object:
    return {"type": kind, "object": thing(name, version)}


REFUSED = ApiError("etcdserver: leader changed", status=500)
"""What a watch is answered with instead of being opened."""

RESET = ApiError("watch Service: connection reset")


class FakeApi:
    """Gives prepared lists and watches, in order; then it stays silent."""

    def __init__(self, lists: list[Any], watches: list[Any]) -> None:
        self.lists = lists
        self.watches = watches
        self.asked: list[str] = []
        self.silent = asyncio.Event()

    async def chunks(self, *_: Any, **__: Any) -> AsyncGenerator[tuple[list[Object], str], None]:
        self.asked.append("list")
        found = self.lists.pop(0)
        if isinstance(found, Exception):
            raise found
        objects, since = found
        for one in objects:
            yield [one], since
        yield [], since

    async def watch(
        self, *_: Any, since: str, opened: Callable[[], None], **__: Any
    ) -> AsyncGenerator[Object, None]:
        self.asked.append(f"watch {since}")
        if not self.watches:
            self.silent.set()
            await asyncio.Event().wait()
        found, *others = self.watches.pop(0) or [None]
        if found is not REFUSED:
            opened()
        for each in (found, *others):
            if isinstance(each, Exception):
                raise each
            if each is not None:
                yield each


async def follow(
    api: FakeApi,
    clock: Callable[[], float] = time.monotonic,
    asleep: Callable[[Informer], None] = lambda _: None,
) -> tuple[Cache, list[float]]:
    """Run an informer until nothing more happens; look at it whenever it sleeps."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        asleep(informer)

    cache = Cache(lambda *_: None, lambda live: live)
    informer = Informer(api, SERVICE, cache, sleep=sleep, clock=clock)  # type: ignore[arg-type]  # it has the verbs that are used
    task = asyncio.create_task(informer.run())
    await asyncio.wait_for(api.silent.wait(), 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert informer.full.is_set()
    return cache, waits


def names(cache: Cache) -> list[str]:
    return sorted(name for (_, name), _, _ in cache.states())


async def test_a_watch_that_ends_goes_on_from_the_last_event() -> None:
    api = FakeApi([([thing("a", 1)], "5")], [[event("ADDED", "b", 7)]])

    cache, waits = await follow(api)

    assert api.asked == ["list", "watch 5", "watch 7"]
    assert names(cache) == ["a", "b"]
    assert waits == []


async def test_a_watch_that_was_quiet_and_is_cut_is_opened_again_at_once() -> None:
    api = FakeApi([([thing("a", 1)], "5")], [[], [event("ADDED", "b", 7)]])
    times = iter(range(0, 1000, 30))

    _, waits = await follow(api, clock=lambda: float(next(times)))

    assert api.asked == ["list", "watch 5", "watch 5", "watch 7"]
    assert waits == []


async def test_watches_that_end_at_once_are_not_opened_in_a_loop() -> None:
    api = FakeApi([([thing("a", 1)], "5")], [[], [], [event("ADDED", "b", 7)]])

    cache, waits = await follow(api)

    assert api.asked == ["list", "watch 5", "watch 5", "watch 5", "watch 7"]
    assert names(cache) == ["a", "b"]
    assert len(waits) == 2
    assert min(waits) > 0


async def test_a_bookmark_moves_the_point_to_go_on_from() -> None:
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}
    api = FakeApi([([], "5")], [[bookmark]])

    await follow(api)

    assert api.asked == ["list", "watch 5", "watch 9"]


async def test_a_watch_that_breaks_waits_and_goes_on_without_a_list() -> None:
    api = FakeApi([([], "5")], [[event("ADDED", "a", 6), ApiError("reset")]])

    cache, waits = await follow(api)

    assert api.asked == ["list", "watch 5", "watch 6"]
    assert names(cache) == ["a"]
    assert len(waits) == 1


async def test_history_that_is_gone_is_listed_anew_and_compared() -> None:
    gone = ApiError("too old", status=410, reason="Expired")
    api = FakeApi([([thing("a", 1), thing("b", 2)], "5"), ([thing("b", 2)], "9")], [[gone]])

    cache, _ = await follow(api)

    assert api.asked == ["list", "watch 5", "list", "watch 9"]
    assert names(cache) == ["b"]


async def test_history_that_went_during_an_outage_is_listed_anew_at_once() -> None:
    outage = [ApiError("connection refused") for _ in range(12)]
    gone = ApiError("too old", status=410, reason="Expired")
    watches = [*([one] for one in outage), [gone]]
    api = FakeApi([([], "5"), ([], "9")], watches)

    _, waits = await follow(api)

    assert len(waits) == len(outage) + 1
    assert max(waits[:-1]) > 4
    assert waits[-1] <= 0.2


async def test_a_server_that_asks_for_patience_gets_it() -> None:
    busy = ApiError("busy", status=429, retry_after_seconds=7.0)
    api = FakeApi([busy, ([], "5")], [])

    _, waits = await follow(api)

    assert waits == [7.0]


async def test_a_list_that_breaks_off_deletes_nothing_and_is_made_anew() -> None:
    class Breaking(FakeApi):
        async def chunks(
            self, *_: Any, **__: Any
        ) -> AsyncGenerator[tuple[list[Object], str], None]:
            async for found in super().chunks():
                yield found
                if self.asked == ["list", "watch 5", "list"]:
                    raise ApiError("reset")

    both = [thing("a", 1), thing("b", 2)]
    gone = ApiError("too old", status=410, reason="Expired")
    api = Breaking([(both, "5"), (both, "9"), (both, "9")], [[gone]])

    cache, _ = await follow(api)

    assert api.asked == ["list", "watch 5", "list", "list", "watch 9"]
    assert names(cache) == ["a", "b"]


@pytest.mark.parametrize(
    ("watch", "silent"),
    [
        pytest.param([None, RESET], [0.0, 0.0], id="open-until-it-breaks"),
        pytest.param([REFUSED], [75.0, 150.0], id="refused"),
    ],
)
async def test_a_watch_that_is_open_is_in_touch_though_nothing_is_told(
    watch: list[Any], silent: list[float]
) -> None:
    now, found = 0.0, list[float]()

    def look(informer: Informer) -> None:
        nonlocal now
        found.append(informer.silent_seconds)
        now += 75.0

    await follow(FakeApi([([], "5")], [watch] * 3), clock=lambda: now, asleep=look)

    assert found == [0.0, *silent]


async def test_who_may_not_list_knows_that_it_has_asked_and_asks_again() -> None:
    asked: list[tuple[bool, bool]] = []
    refused = ApiError("services is forbidden", status=403)
    api = FakeApi([ApiError("down", status=500), refused, ([thing("a", 1)], "5")], [])

    def look(informer: Informer) -> None:
        asked.append((informer.asked.is_set(), informer.full.is_set()))

    await follow(api, asleep=look)

    assert asked == [(False, False), (True, False)]


async def test_a_failure_that_lasts_is_told_once_in_five_minutes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused, down = ApiError("services is forbidden", status=403), ApiError("down", status=500)
    api = FakeApi([refused, refused, refused, down, refused, ([], "5")], [])
    times = iter([0.0, 0.0, 10.0, 310.0, 320.0, 330.0])

    await follow(api, clock=lambda: next(times, 340.0))

    told = [record.__dict__["error"] for record in caplog.records]
    assert told == ["services is forbidden"] * 2 + ["down", "services is forbidden"]
