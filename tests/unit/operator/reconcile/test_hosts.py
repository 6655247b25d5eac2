"""Who has a host that several servers ask for."""

from functools import partial
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
            kind: SimpleNamespace(get=partial(self._route, kind.name))
            for kind in (INGRESS, HTTP_ROUTE)
        }
        world: Any = SimpleNamespace(children=caches)
        self.hosts = Hosts(world, lambda key: self.told.append(key[1]))

    def _route(self, kind: str, *key: str) -> Any:
        found = self.routes.get((key[0], key[1]))
        return found if found is not None and found.get("kind") in {None, kind} else None

    def claim(self, name: str, since: str = "", namespace: str = "a", **expose: str) -> list[str]:
        """Have a server claim its host; say whose it is told that it is."""
        if since:
            self.routes[namespace, name] = {"metadata": {"creationTimestamp": since}}
        chosen = {"host": "x.example", "ingress_class_name": None, "gateway": None} | expose
        spec = SimpleNamespace(expose=SimpleNamespace(**{"in_pod": False} | chosen))
        server = SimpleNamespace(namespace=namespace, name=name, spec=spec)
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


ROUTE = {
    "kind": "HTTPRoute",
    "spec": {
        "parentRefs": [{"namespace": "infra", "name": "web"}],
        "hostnames": ["x.example"],
    },
}
ENTRY = {
    "kind": "Ingress",
    "spec": {"ingressClassName": "nginx", "rules": [{"host": "x.example"}]},
}


def test_who_comes_to_lead_knows_who_has_a_host_before_the_first_pass(ground: Ground) -> None:
    for name, since in (("new", NEW), ("old", OLD)):
        metadata = {"namespace": "a", "name": name, "creationTimestamp": since}
        ground.routes["a", name] = ROUTE | {"metadata": metadata}

    ground.hosts.look([("a", "new"), ("a", "none"), ("a", "old")])

    assert "leads to McpServer a/old" in ground.claim("new", NEW)[0]
    assert ground.claim("old", OLD) == []


@pytest.mark.parametrize(
    ("live", "expose"),
    [
        pytest.param(ROUTE, {}, id="gateway"),
        pytest.param(ENTRY, {"ingress_class_name": "nginx"}, id="ingress"),
    ],
)
def test_a_server_that_is_left_as_it_is_keeps_the_host_that_leads_to_it(
    ground: Ground, live: dict[str, Any], expose: dict[str, Any]
) -> None:
    ground.claim("new", NEW, **expose)
    metadata = {"namespace": "a", "name": "old", "creationTimestamp": OLD}
    ground.routes["a", "old"] = live | {"metadata": metadata}

    ground.hosts.keep(("a", "old"))

    assert ground.told == ["new"]
    assert "leads to McpServer a/old" in ground.claim("new", NEW, **expose)[0]
    del ground.routes["a", "old"]
    ground.hosts.keep(("a", "old"))
    assert ground.told == ["new", "new"]
    assert ground.claim("new", NEW, **expose) == []


@pytest.mark.parametrize(
    "spec",
    [{}, {"hostnames": []}, {"hostnames": ["x.example"]}],
    ids=["nothing", "no-host", "no-gateway"],
)
def test_a_route_that_somebody_spoiled_leads_nowhere(ground: Ground, spec: dict[str, Any]) -> None:
    metadata = {"namespace": "a", "name": "old", "creationTimestamp": OLD}
    ground.routes["a", "old"] = {"kind": "HTTPRoute", "spec": spec, "metadata": metadata}

    ground.hosts.keep(("a", "old"))

    assert ground.claim("new", NEW) == []


def test_who_is_in_another_namespace_is_not_named(ground: Ground) -> None:
    ground.claim("secret-project", OLD, namespace="b")

    (said,) = ground.claim("new", NEW)

    assert "leads to an McpServer of another namespace for it" in said
    assert "secret-project" not in said
    assert "b/" not in said
