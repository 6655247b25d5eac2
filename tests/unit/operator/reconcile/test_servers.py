"""What the watch of McpServers tells, and what comes in beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from breakwater_operator.reconcile.servers import Servers

if TYPE_CHECKING:
    from breakwater_operator.reconcile.queue import Key


def server(name: str, version: int, uid: str = "") -> dict[str, Any]:
    metadata = {
        "namespace": "ns",
        "name": name,
        "uid": uid or name,
        "resourceVersion": str(version),
    }
    return {"metadata": metadata}


def test_what_was_read_beside_the_watch_is_told_once() -> None:
    told: list[Key] = []
    servers = Servers(told.append)

    servers.saw(server("a", 2))
    servers.saw(server("a", 2))

    assert told == [("ns", "a")]


def test_a_server_that_is_gone_is_told_and_another_one_may_have_its_name() -> None:
    told: list[Key] = []
    servers = Servers(told.append)
    servers.saw(server("a", 2))

    servers.gone(server("a", 3))

    assert servers.all() == []
    servers.saw(server("a", 4, uid="b"))
    assert servers.all() == [("ns", "a")]
    assert told == [("ns", "a")] * 3


def test_an_own_write_is_told_to_nobody_and_neither_is_its_event() -> None:
    told: list[Key] = []
    servers = Servers(told.append)

    with servers.writing(("ns", "a")):
        servers.saw(server("a", 2))
        servers.wrote(server("a", 2))

    assert told == []
    assert servers.get(("ns", "a")) == server("a", 2)


def test_what_others_write_meanwhile_is_told_afterwards() -> None:
    told: list[Key] = []
    servers = Servers(told.append)

    with servers.writing(("ns", "a")):
        servers.saw(server("a", 3))
        servers.wrote(server("a", 2))
        assert told == []

    assert told == [("ns", "a")]
