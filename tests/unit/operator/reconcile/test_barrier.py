"""Passes wait until everything around a server is listed, and for no other namespace."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from breakwater_operator.reconcile.barrier import Barrier


class Informer(SimpleNamespace):
    """One that is told how far it is."""

    def __init__(self, namespace: str | None, kind: str = "Pod", silent_seconds: float = 0) -> None:
        super().__init__(
            namespace=namespace,
            asked=asyncio.Event(),
            full=asyncio.Event(),
            kind=SimpleNamespace(name=kind),
            selector="",
            metadata_only=False,
            silent_seconds=silent_seconds,
        )

    def list(self) -> None:
        self.asked.set()
        self.full.set()

    def refuse(self) -> None:
        self.asked.set()


def barrier(*informers: Informer) -> Barrier:
    of: Any = informers
    return Barrier(of)


async def test_all_are_waited_for() -> None:
    here, there = Informer("a"), Informer("b")
    made = barrier(here, there)
    waiting = asyncio.create_task(made.wait())
    here.list()
    await asyncio.sleep(0)

    assert not waiting.done()
    assert made.unlisted() == [there]
    there.list()
    await asyncio.wait_for(waiting, 5)

    assert made.unlisted() == []
    assert made.is_open("a")
    assert made.is_open("b")


async def test_a_namespace_that_may_not_be_read_keeps_none_but_itself() -> None:
    here, servers, pods = Informer("a"), Informer("b"), Informer("b")
    made = barrier(here, servers, pods)
    here.list()
    # One kind alone is not enough: what is not known would be made again.
    servers.list()
    pods.refuse()

    await asyncio.wait_for(made.wait(), 5)

    assert made.is_open("a")
    assert not made.is_open("b")
    assert made.unlisted() == []


async def test_a_namespace_that_is_listed_after_all_is_told_of() -> None:
    here, there = Informer("a"), Informer("b")
    made, told = barrier(here, there), asyncio.Event()
    here.list()
    there.refuse()
    await asyncio.wait_for(made.wait(), 5)
    following = asyncio.create_task(made.follow(told.set))
    await asyncio.sleep(0)
    assert not told.is_set()

    there.list()

    await asyncio.wait_for(following, 5)
    assert told.is_set()
    assert made.is_open("b")


@pytest.mark.parametrize("namespaces", [[None], ["a", "b"]], ids=["cluster", "namespaces"])
async def test_an_operator_that_may_read_nothing_is_not_ready(namespaces: list[Any]) -> None:
    informers = [Informer(namespace) for namespace in namespaces]
    made = barrier(*informers)
    for one in informers:
        one.refuse()

    await asyncio.wait_for(made.wait(), 5)

    assert made.unlisted() == informers
    assert not made.is_open("a")


async def test_a_failure_that_is_no_refusal_is_told() -> None:
    here, there = Informer("a"), Informer("b")
    made = barrier(here, there)
    here.list()

    assert made.unlisted() == [there]


async def test_a_kind_that_nothing_is_heard_of_is_named_unless_one_namespace_alone_is_silent() -> (
    None
):
    here, there = Informer("a", silent_seconds=200), Informer("b", silent_seconds=30)
    services = [
        Informer(one, "Service", silent_seconds=seconds)
        for one, seconds in (("a", 200), ("b", 190))
    ]
    unlisted = Informer("a", "Ingress", silent_seconds=200)
    made = barrier(here, there, *services, unlisted)
    for one in (here, there, *services):
        one.list()

    assert made.unheard(180) == [services[1]]
    assert made.unheard(195) == []
