"""Who may reach whom, by the rules of NetworkPolicies: a small evaluator of what is rendered.

Written from the API's documentation and not from our renderer: pods that no policy selects may do
everything; a selected pod may do what any rule of any of its policies allows; a peer fits by its
labels or by its address; ports are those of the pod that is reached.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Literal

Object = Mapping[str, Any]
Direction = Literal["Ingress", "Egress"]


@dataclass(frozen=True)
class End:
    """One side of a connection: a pod, or an address outside the cluster."""

    address: str
    namespace: str | None = None
    """None outside the cluster."""
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)


def allowed(
    policies: Sequence[Object], source: End, target: End, port: int, protocol: str = "TCP"
) -> bool:
    """Say whether a connection is let through, on the way out and on the way in."""
    out = _direction(policies, "Egress", source, target, port, protocol)
    return out and _direction(policies, "Ingress", target, source, port, protocol)


def _direction(
    policies: Sequence[Object], direction: Direction, pod: End, other: End, port: int, protocol: str
) -> bool:
    selecting = [
        policy["spec"]
        for policy in policies
        if direction in policy["spec"]["policyTypes"] and _selects(policy, pod)
    ]
    if not selecting:
        return True
    peers = "from" if direction == "Ingress" else "to"
    return any(
        _port_fits(rule.get("ports"), port, protocol) and _peer_fits(rule.get(peers), pod, other)
        for spec in selecting
        for rule in spec.get(direction.lower()) or ()
    )


def _selects(policy: Object, pod: End) -> bool:
    here = policy["metadata"]["namespace"] == pod.namespace
    return here and _matches(policy["spec"]["podSelector"], pod.labels)


def _port_fits(ports: Sequence[Object] | None, port: int, protocol: str) -> bool:
    if not ports:
        return True
    return any(
        one.get("protocol", "TCP") == protocol
        and one.get("port", port) <= port <= one.get("endPort", one.get("port", port))
        for one in ports
    )


def _peer_fits(peers: Sequence[Object] | None, pod: End, other: End) -> bool:
    return not peers or any(_fits(peer, pod, other) for peer in peers)


def _fits(peer: Object, pod: End, other: End) -> bool:
    if "ipBlock" in peer:
        address = ip_address(other.address)
        block = peer["ipBlock"]
        excepted = any(address in ip_network(one) for one in block.get("except", ()))
        return address in ip_network(block["cidr"]) and not excepted
    if other.namespace is None:
        return False
    if "namespaceSelector" in peer:
        if not _matches(peer["namespaceSelector"], other.namespace_labels):
            return False
    elif other.namespace != pod.namespace:
        return False
    return _matches(peer.get("podSelector", {}), other.labels)


def _matches(selector: Object, labels: Mapping[str, str]) -> bool:
    assert selector.keys() <= {"matchLabels"}, "the evaluator knows no expressions"
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
