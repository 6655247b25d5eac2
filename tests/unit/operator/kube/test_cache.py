"""The cache never goes back in time, whatever arrives in whatever order."""

import tracemalloc
from contextlib import suppress
from typing import Any

import pytest

from breakwater_operator.kube.cache import OWN_MAX, READ_MAX, Cache

Object = dict[str, Any]


def thing(name: str, version: int, uid: str = "u", namespace: str = "ns") -> Object:
    return {
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": uid,
            "resourceVersion": str(version),
        }
    }


@pytest.fixture
def told() -> list[tuple[int | None, int | None]]:
    return []


@pytest.fixture
def cache(told: list[tuple[int | None, int | None]]) -> Cache:
    def version(live: Object | None) -> int | None:
        return int(live["metadata"]["resourceVersion"]) if live is not None else None

    return Cache(
        lambda old, new: told.append((version(old), version(new))),
        lambda live: live,
        lambda live: live["metadata"]["uid"],
    )


def listed(
    cache: Cache, found: list[dict[str, Any]], at: int, namespace: str | None = None
) -> None:
    """Have a cache take over a whole list."""
    cache.list_ended(cache.listed(found), at, namespace)


def test_a_change_by_others_is_told(cache: Cache, told: list[Any]) -> None:
    cache.saw("ADDED", thing("a", 1))
    cache.saw("MODIFIED", thing("a", 2))
    cache.saw("DELETED", thing("a", 3))

    assert told == [(None, 1), (1, 2), (2, None)]
    assert cache.get("ns", "a") is None


def test_an_own_write_is_no_news_when_its_event_comes(cache: Cache, told: list[Any]) -> None:
    cache.wrote(thing("a", 5))

    cache.saw("ADDED", thing("a", 5))

    assert told == []


def test_an_event_older_than_an_own_write_changes_nothing(cache: Cache, told: list[Any]) -> None:
    cache.wrote(thing("a", 5))

    cache.saw("MODIFIED", thing("a", 4))

    live = cache.get("ns", "a")
    assert live is not None
    assert live["metadata"]["resourceVersion"] == "5"
    assert told == []


def test_what_we_deleted_does_not_come_back_by_a_late_event(cache: Cache, told: list[Any]) -> None:
    cache.wrote(thing("a", 5))
    cache.deleted(thing("a", 5))

    cache.saw("MODIFIED", thing("a", 5))

    assert cache.get("ns", "a") is None
    assert told == []


def test_the_deletion_of_an_earlier_object_leaves_its_successor(cache: Cache) -> None:
    cache.wrote(thing("a", 9, uid="new"))

    cache.saw("DELETED", thing("a", 8, uid="old"))

    assert cache.get("ns", "a") is not None


def test_a_list_says_what_went_while_nobody_watched(cache: Cache, told: list[Any]) -> None:
    cache.saw("ADDED", thing("a", 1))
    cache.saw("ADDED", thing("b", 2, uid="v"))
    told.clear()

    listed(cache, [thing("b", 2, uid="v")], at=9)

    assert told == [(1, None)]


def test_a_list_that_was_made_before_an_own_write_does_not_undo_it(cache: Cache) -> None:
    cache.wrote(thing("a", 10))

    listed(cache, [], at=9)

    assert cache.get("ns", "a") is not None


def test_a_list_of_one_namespace_says_nothing_about_another(cache: Cache) -> None:
    cache.saw("ADDED", thing("a", 1, namespace="other"))

    listed(cache, [], at=9, namespace="ns")

    assert cache.get("other", "a") is not None


def test_objects_are_found_by_their_group(cache: Cache) -> None:
    cache.saw("ADDED", thing("b", 1, uid="x"))
    cache.saw("ADDED", thing("a", 2, uid="x"))
    cache.saw("ADDED", thing("c", 3, uid="y"))

    assert [one["metadata"]["name"] for one in cache.together("x")] == ["a", "b"]
    assert cache.together("z") == []


def test_what_is_told_during_an_own_write_waits_for_its_answer(
    cache: Cache, told: list[Any]
) -> None:
    with cache.writing("ns", "a"):
        cache.saw("ADDED", thing("a", 5))
        cache.wrote(thing("a", 5))

    assert told == []


def test_a_change_by_others_during_an_own_write_is_told_after_it(
    cache: Cache, told: list[Any]
) -> None:
    with cache.writing("ns", "a"):
        cache.saw("MODIFIED", thing("a", 6))
        cache.wrote(thing("a", 5))
    cache.saw("MODIFIED", thing("a", 7))

    assert told == [(5, 6), (6, 7)]


def test_a_change_by_others_is_told_although_the_own_write_failed(
    cache: Cache, told: list[Any]
) -> None:
    with suppress(OSError), cache.writing("ns", "a"):
        cache.saw("ADDED", thing("a", 5))
        raise OSError

    assert told == [(None, 5)]


def test_the_state_of_an_own_write_is_known_until_its_event_has_come(cache: Cache) -> None:
    cache.wrote(thing("a", 5))

    assert [cache.is_own("u", 5), cache.is_own("u", 5)] == [True, False]
    assert not cache.is_own("u", 6)


def test_an_event_that_was_read_all_the_same_ends_the_wait_for_it(cache: Cache) -> None:
    cache.wrote(thing("a", 5))

    cache.saw("MODIFIED", thing("a", 5))

    assert not cache.is_own("u", 5)


def test_own_writes_whose_events_never_come_are_not_awaited_for_ever(cache: Cache) -> None:
    for number in range(OWN_MAX + 5):
        cache.wrote(thing("a", number))

    assert len(cache._own) == 5


def test_a_list_that_has_an_own_write_ends_the_wait_for_its_event(cache: Cache) -> None:
    cache.wrote(thing("a", 5))
    cache.wrote(thing("b", 9))

    listed(cache, [thing("a", 5)], at=7)

    assert [cache.is_own("u", 5), cache.is_own("u", 9)] == [False, True]


def test_more_objects_are_known_than_are_held_ready(cache: Cache) -> None:
    for number in range(READ_MAX * 2):
        cache.saw("ADDED", thing(f"a{number}", number, uid="same"))

    found = cache.together("same")

    assert [live["metadata"]["name"] for live in found] == sorted(
        f"a{number}" for number in range(READ_MAX * 2)
    )
    assert len(cache._read) == READ_MAX


def test_ten_thousand_objects_take_the_memory_of_their_json() -> None:
    cache = Cache(lambda _old, _new: None, lambda live: live)
    count, content = 10_000, "x" * 200
    tracemalloc.start()
    try:
        for number in range(count):
            live = thing(f"s{number}", number, f"u{number}")
            cache.wrote({"metadata": live["metadata"], "data": content})
        cache.list_ended({("ns", f"s{number}") for number in range(count)}, count)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert taken / count < 1500
