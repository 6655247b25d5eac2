"""Who has a host that several servers ask for."""

from types import SimpleNamespace
from typing import Any

import pytest

from breakwater_operator.kube.kinds import HTTP_ROUTE, INGRESS
from breakwater_operator.reconcile.hosts import Hosts

OLD, NEW = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"


class Ground:
    """Routes with their ages, and who was told to look again."""

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], Any] = {}
        self.told: list[str] = []
        caches = {
            kind: SimpleNamespace(get=lambda *key: self.routes.get(key))
            for kind in (INGRESS, HTTP_ROUTE)
        }
        world: Any = SimpleNamespace(children=caches)
        self.hosts = Hosts(world, lambda key: self.told.append(key[1]))

    def claim(self, name: str, since: str = "", **expose: str) -> list[str]:
        """Have a server claim its host; say whose it is told that it is."""
        if since:
            self.routes["a", name] = {"metadata": {"creationTimestamp": since}}
        chosen = {"host": "x.example", "ingress_class_name": None, "gateway": None} | expose
        spec = SimpleNamespace(expose=SimpleNamespace(**{"in_pod": False} | chosen))
        server = SimpleNamespace(namespace="a", name=name, spec=spec)
        intent: Any = SimpleNamespace(server=server, platform=SimpleNamespace(gateway="infra/web"))
        return [problem.message for problem in self.hosts.claim(intent)]


@pytest.fixture
def ground() -> Ground:
    return Ground()


def test_the_older_route_has_the_host_whichever_is_looked_at_first(ground: Ground) -> None:
    assert ground.claim("new", NEW) == []

    assert ground.claim("old", OLD) == []

    assert ground.told == ["new"]
    assert "Gateway infra/web leads to McpServer a/old" in ground.claim("new", NEW)[0]


def test_who_has_a_host_keeps_it_from_one_that_has_no_route_yet(ground: Ground) -> None:
    ground.claim("zed", NEW)

    assert ground.claim("alpha") != []
    assert ground.told == []


@pytest.mark.parametrize(
    "other",
    [
        {"host": "y.example"},
        {"ingress_class_name": "nginx"},
        {"gateway": "infra/other"},
        {"in_pod": "yes"},
    ],
)
def test_another_host_or_another_way_in_is_nobody_elses(
    ground: Ground, other: dict[str, str]
) -> None:
    ground.claim("old", OLD)

    assert ground.claim("new", NEW, **other) == []


def test_a_host_that_is_given_up_is_the_next_ones(ground: Ground) -> None:
    ground.claim("old", OLD)
    ground.claim("new", NEW)

    ground.claim("old", host="y.example")

    assert ground.told == ["new"]
    assert ground.claim("new", NEW) == []


def test_a_server_that_is_gone_has_no_host(ground: Ground) -> None:
    ground.claim("old", OLD)
    ground.claim("new", NEW)

    ground.hosts.drop(("a", "old"))
    ground.hosts.drop(("a", "old"))

    assert ground.told == ["new"]
    assert ground.claim("new", NEW) == []
