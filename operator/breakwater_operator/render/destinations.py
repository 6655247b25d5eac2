"""Whom a server's pods may connect to."""

import re
from collections.abc import Iterator
from typing import Any

from breakwater_operator.api.network import EgressRule
from breakwater_operator.render import remotes
from breakwater_operator.render.intent import Intent
from breakwater_operator.render.peers import block, own, pods, tcp

DNS = {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
"""To anywhere: the cluster's DNS may have an address of the node or of a Service."""

PRIVATE = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
)  # fmt: skip
"""What is not the Internet: private ranges, those of carriers and nodes, and the addresses at which
clouds keep the metadata of a machine, its credentials among them."""

PRIVATE_6 = (
    "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "fc00::/7", "fe80::/10", "ff00::/8",
)  # fmt: skip
"""The same of IPv6, with the ranges in which IPv4 addresses are hidden; those of `::ffff:0:0/96` go
out as IPv4."""

INTERNET = [block("0.0.0.0/0", PRIVATE), block("::/0", PRIVATE_6)]

URL = re.compile(r"(?P<scheme>https?)://(?P<host>\[[^\]]*\]|[^/:]+)(:(?P<port>[0-9]+))?(/|$)")
PORTS = {"http": 80, "https": 443}
LOCAL = {"localhost", "127.0.0.1", "[::1]", "::1"}


def rules(intent: Intent) -> list[dict[str, Any]]:
    """Write the egress of the policy: first the server's own pods, so that it is never empty."""
    return [{"to": [own(intent.server)]}, *_chosen(intent), *_named(intent)]


def _chosen(intent: Intent) -> Iterator[dict[str, Any]]:
    egress = intent.server.spec.egress
    if egress == "None":
        return
    yield DNS
    if egress == "Internet":
        yield {"to": INTERNET}
    for url in _urls(intent):
        yield from _to(url, intent.platform.cluster_domain)


def _named(intent: Intent) -> Iterator[dict[str, Any]]:
    for rule in (*intent.server.spec.egress_rules, *intent.platform.network.egress):
        yield _rule(rule)
    collector = intent.platform.monitoring.otlp
    if collector is not None:
        yield from _to(collector.endpoint, intent.platform.cluster_domain)
    rates = intent.platform.shared_rates
    if rates is not None:
        yield from _to_host(*rates.host_and_port, intent.platform.cluster_domain)


def _urls(intent: Intent) -> list[str]:
    """Where the manifest itself says that the pods must go."""
    jwt = intent.server.spec.access.jwt
    found: set[str | None] = {jwt.issuer, jwt.jwks_url} if jwt is not None else set()
    found.update(remotes.urls(intent.server))
    return sorted(url for url in found if url is not None)


def _to(url: str, cluster_domain: str) -> Iterator[dict[str, Any]]:
    match = URL.match(url)
    if match is not None:
        port = int(match["port"] or PORTS[match["scheme"]])
        yield from _to_host(match["host"], port, cluster_domain)


def _to_host(host: str, port: int, cluster_domain: str) -> Iterator[dict[str, Any]]:
    if host in LOCAL:
        return
    host = host.removesuffix(".").removesuffix(f".{cluster_domain}")
    name, _, zone = host.rpartition(".")
    if zone == "svc" and "." in name:
        # The pods' port is not the Service's, and nobody here knows it.
        yield {"to": [pods({"kubernetes.io/metadata.name": name.rpartition(".")[2]}, None)]}
        return
    yield {"to": INTERNET, "ports": [tcp(port)]}


def _rule(rule: EgressRule) -> dict[str, Any]:
    if rule.cidr is not None:
        to = block(rule.cidr, rule.except_)
    else:
        to = pods(rule.namespace_labels, rule.pod_labels)
    ports = [
        {
            "protocol": one.protocol,
            "port": one.port,
            **({"endPort": one.end_port} if one.end_port is not None else {}),
        }
        for one in rule.ports
    ]
    return {"to": [to], **({"ports": ports} if ports else {})}
