"""The cache never goes back in time, whatever arrives in whatever order."""

from typing import Any

import pytest

from breakwater_operator.kube.cache import Cache

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

    cache.listed([thing("b", 2, uid="v")], at=9)

    assert told == [(1, None)]


def test_a_list_that_was_made_before_an_own_write_does_not_undo_it(cache: Cache) -> None:
    cache.wrote(thing("a", 10))

    cache.listed([], at=9)

    assert cache.get("ns", "a") is not None


def test_a_list_of_one_namespace_says_nothing_about_another(cache: Cache) -> None:
    cache.saw("ADDED", thing("a", 1, namespace="other"))

    cache.listed([], at=9, namespace="ns")

    assert cache.get("other", "a") is not None


def test_objects_are_found_by_their_group(cache: Cache) -> None:
    cache.saw("ADDED", thing("b", 1, uid="x"))
    cache.saw("ADDED", thing("a", 2, uid="x"))
    cache.saw("ADDED", thing("c", 3, uid="y"))

    assert [one["metadata"]["name"] for one in cache.together("x")] == ["a", "b"]
    assert cache.together("z") == []
