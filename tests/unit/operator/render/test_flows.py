"""Who may reach which port of a server, and whom its pods may reach."""

from dataclasses import replace
from typing import Any

import pytest

from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import Platform, PlatformMonitoring, PlatformRates
from breakwater_operator.render import Intent, children, revision, ring, secrets
from dev import golden
from tests.support.flows import End, allowed

PLATFORM = Platform.parse(
    {
        "namespace": "breakwater-system",
        "images": {"runtime": "registry.example/runtime:1"},
        "network": {
            "gateways": [{"namespaceLabels": {"team": "infra"}}],
            "egress": [{"cidr": "10.4.0.0/16", "ports": [{"port": 6379}]}],
        },
    }
)


def server(name: str = "crm", **spec: Any) -> McpServer:
    metadata = {"name": name, "namespace": "team-a", "uid": f"uid-{name}", "generation": 1}
    backends = [{"python": {"server": "a:b"}}]
    return McpServer.parse({"metadata": metadata, "spec": {"backends": backends} | spec})


def policies(**spec: Any) -> list[dict[str, Any]]:
    """The NetworkPolicies of two servers of one namespace; the first one has this spec."""
    return policies_on(PLATFORM, **spec)


def policies_on(platform: Platform, **spec: Any) -> list[dict[str, Any]]:
    """The same on another platform."""
    found = []
    for made in (server(**spec), server("other")):
        keys = secrets.resolve(made, None, None, golden.SEED, golden.FRESH)
        current = revision.current(made, platform, ())
        shared = ring.first(made, golden.NOW, golden.FRESH)
        intent = Intent(made, platform, current, keys, shared, (golden.OPERATOR_KEY,))
        found += [one for one in children(intent) if one["kind"] == "NetworkPolicy"]
    return found


def pod(address: str, namespace: str, team: str = "", **labels: str) -> End:
    of_namespace = {"kubernetes.io/metadata.name": namespace, "team": team}
    return End(
        address, namespace, {k.replace("__", "/"): v for k, v in labels.items()}, of_namespace
    )


OWN = pod("10.0.0.1", "team-a")
OWN = replace(OWN, labels={"breakwater.dev/server": "crm"})
SIBLING = replace(OWN, address="10.0.0.2")
OTHER_SERVER = replace(OWN, address="10.0.0.3", labels={"breakwater.dev/server": "other"})
NEIGHBOUR = pod("10.0.0.4", "team-a", app="bot")
STRANGER = pod("10.0.1.1", "team-b", "chat", app="bot")
GATEWAY = pod("10.0.2.1", "gateways", "infra")
PROMETHEUS = pod("10.0.3.1", "monitoring")
PROMETHEUS = replace(PROMETHEUS, labels={"app.kubernetes.io/name": "prometheus"})
OPERATOR = replace(
    pod("10.0.4.1", "breakwater-system"),
    labels={
        "app.kubernetes.io/component": "operator",
        "app.kubernetes.io/part-of": "breakwater",
    },
)
IMPOSTOR = replace(OPERATOR, address="10.0.4.2", namespace="team-b", namespace_labels={})
OFFICE = End("203.0.113.7")
WORLD = End("198.51.100.9")

CLIENTS = {"clients": [{"namespaceLabels": {"team": "chat"}, "podLabels": {"app": "bot"}}]}
NARROW = {"addresses": {"allow": ["203.0.113.0/24"], "deny": ["203.0.113.66"]}}

INGRESS = [
    # from, port, by default, with clients, with addresses
    (NEIGHBOUR, 8080, True, False, False),
    (STRANGER, 8080, True, True, False),
    (WORLD, 8080, True, False, False),
    (OFFICE, 8080, True, False, True),
    (End("203.0.113.66"), 8080, True, False, False),
    (GATEWAY, 8080, True, True, True),
    (SIBLING, 8080, True, True, True),
    (PROMETHEUS, 9464, True, True, True),
    (OPERATOR, 9464, True, True, True),
    (IMPOSTOR, 9464, False, False, False),
    (NEIGHBOUR, 9464, False, False, False),
    (WORLD, 9464, False, False, False),
    (SIBLING, 9465, True, True, True),
    (OTHER_SERVER, 9465, False, False, False),
    (OPERATOR, 9465, False, False, False),
    (GATEWAY, 9465, False, False, False),
    (NEIGHBOUR, 22, False, False, False),
]


@pytest.mark.requirement("T4", "G5")
@pytest.mark.parametrize(("source", "port", "plain", "clients", "addresses"), INGRESS)
def test_who_may_reach_a_port(
    source: End, port: int, plain: bool, clients: bool, addresses: bool
) -> None:
    found = [
        allowed(policies(**spec), source, OWN, port)
        for spec in ({}, {"access": CLIENTS}, {"access": NARROW})
    ]

    assert found == [plain, clients, addresses]


METADATA = End("169.254.169.254")
PRIVATE = [End("10.9.9.9"), End("192.168.1.1"), End("172.20.0.1"), End("fd00::1"), METADATA]
MAPPED = End("64:ff9b::a9fe:a9fe")
DNS = pod("10.0.5.1", "kube-system")
DATABASE = pod("10.0.6.1", "data", "data", app="postgres")
REDIS = End("10.4.0.1")


@pytest.mark.parametrize(
    ("target", "port", "default", "internet", "nothing"),
    [
        (SIBLING, 9465, True, True, True),
        (REDIS, 6379, True, True, True),
        (REDIS, 6380, False, False, False),
        (WORLD, 443, False, True, False),
        (End("2001:db8::1"), 443, False, True, False),
        (DATABASE, 5432, False, False, False),
        (OTHER_SERVER, 9465, False, False, False),
        *((one, 80, False, False, False) for one in (*PRIVATE, MAPPED)),
    ],
)
def test_whom_the_pods_may_reach(
    target: End, port: int, default: bool, internet: bool, nothing: bool
) -> None:
    found = [
        allowed(policies(**spec), OWN, target, port)
        for spec in ({}, {"egress": "Internet"}, {"egress": "None"})
    ]

    assert found == [default, internet, nothing]


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_names_can_be_looked_up_unless_nothing_is_open(protocol: str) -> None:
    assert allowed(policies(), OWN, DNS, 53, protocol)
    assert not allowed(policies(egress="None"), OWN, DNS, 53, protocol)


def test_an_issuer_outside_opens_its_port_and_no_other() -> None:
    jwt = {"issuer": "https://id.example:8443/realm", "audiences": ["a"]}
    rules = policies(access={"jwt": jwt})

    assert allowed(rules, OWN, WORLD, 8443)
    assert not allowed(rules, OWN, WORLD, 443)
    assert not allowed(rules, OWN, METADATA, 8443)


def test_an_issuer_in_the_cluster_opens_its_namespace_alone() -> None:
    jwt = {"issuer": "https://keycloak.data.svc.cluster.local", "audiences": ["a"]}
    rules = policies(access={"jwt": jwt})

    assert allowed(rules, OWN, DATABASE, 8443)
    assert not allowed(rules, OWN, STRANGER, 8443)
    assert not allowed(rules, OWN, WORLD, 443)


def test_rules_open_what_they_name_also_where_all_else_is_closed() -> None:
    to_pods = {"namespaceLabels": {"team": "data"}, "podLabels": {"app": "postgres"}}
    rules = policies(
        egress="None",
        egressRules=[
            {**to_pods, "ports": [{"port": 5432}]},
            {
                "cidr": "10.9.0.0/16",
                "except": ["10.9.9.0/24"],
                "ports": [{"port": 1, "endPort": 9}],
            },
        ],
    )

    assert allowed(rules, OWN, DATABASE, 5432)
    assert not allowed(rules, OWN, DATABASE, 5433)
    assert allowed(rules, OWN, End("10.9.0.1"), 9)
    assert not allowed(rules, OWN, End("10.9.0.1"), 10)
    assert not allowed(rules, OWN, End("10.9.9.9"), 9)


def test_a_remote_backend_outside_opens_its_port_and_no_private_address() -> None:
    rules = policies(backends=[{"remote": {"url": "https://mcp.example:8443/mcp"}}])

    assert allowed(rules, OWN, WORLD, 8443)
    assert not allowed(rules, OWN, WORLD, 443)
    assert not any(allowed(rules, OWN, one, 8443) for one in (*PRIVATE, MAPPED))


def test_a_remote_backend_in_the_cluster_opens_its_namespace_alone() -> None:
    remote = {"url": "http://crm.data.svc:8000/mcp", "insecurePlainHttp": True}
    rules = policies(backends=[{"remote": remote}])

    assert allowed(rules, OWN, DATABASE, 8000)
    assert not allowed(rules, OWN, STRANGER, 8000)
    assert not allowed(rules, OWN, WORLD, 8000)


def test_what_the_platform_says_that_all_use_is_open_to_all() -> None:
    platform = PLATFORM.model_copy(
        update={
            "monitoring": PlatformMonitoring.model_validate(
                {"otlp": {"endpoint": "http://collector.data.svc:4318"}}
            ),
            "shared_rates": PlatformRates.model_validate({"address": "redis.example:6390"}),
        }
    )
    rules = policies_on(platform, egress="None")

    assert allowed(rules, OWN, DATABASE, 4318)
    assert allowed(rules, OWN, WORLD, 6390)
    assert not allowed(rules, OWN, STRANGER, 4318)
    assert not allowed(rules, OWN, WORLD, 443)


def test_pods_on_their_way_out_of_a_revision_are_held_to_the_same() -> None:
    older = replace(OWN, labels={**OWN.labels, "breakwater.dev/revision": "of-last-week"})

    assert not allowed(policies(), NEIGHBOUR, older, 9465)
    assert allowed(policies(), SIBLING, older, 9465)
