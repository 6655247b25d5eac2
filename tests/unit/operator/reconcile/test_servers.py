"""A list finds the deletions that the watch missed."""

from typing import Any

from breakwater_operator.reconcile.servers import Servers


def server(name: str, version: int, uid: str = "") -> dict[str, Any]:
    metadata = {
        "namespace": "ns",
        "name": name,
        "uid": uid or name,
        "resourceVersion": str(version),
    }
    return {"metadata": metadata}


def test_a_server_that_no_list_has_is_gone_and_its_key_is_told() -> None:
    told: list[Any] = []
    servers = Servers(lambda key, kind: told.append((key, kind)))
    servers.saw(None, server("a", 1))
    servers.saw("ADDED", server("b", 2))
    told.clear()

    unknown = servers.compare([server("b", 2), server("c", 3)], at=9)

    assert told == [(("ns", "a"), "DELETED")]
    assert unknown == [("ns", "c")]


def test_a_server_that_was_made_after_the_list_stays() -> None:
    servers = Servers(lambda *_: None)
    servers.saw("ADDED", server("a", 10))

    servers.compare([], at=9)

    assert servers.get(("ns", "a")) is not None


def test_a_server_that_was_made_anew_under_its_name_replaces_the_old_one() -> None:
    servers = Servers(lambda *_: None)
    servers.saw("ADDED", server("a", 1, uid="old"))

    servers.compare([server("a", 5, uid="new")], at=9)

    assert servers.get(("ns", "a")) is None
