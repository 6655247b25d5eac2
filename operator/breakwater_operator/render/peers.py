"""The words of NetworkPolicies: peers, blocks, ports."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from breakwater_contract.names import SERVER_LABEL
from breakwater_operator.api.models import McpServer

Block = dict[str, Any]


def tcp(port: int) -> dict[str, Any]:
    """One TCP port."""
    return {"protocol": "TCP", "port": port}


def pods(
    namespace_labels: Mapping[str, str] | None, pod_labels: Mapping[str, str] | None
) -> dict[str, Any]:
    """Pods by labels; without labels of namespaces, those of the policy's own."""
    found: dict[str, Any] = {}
    if namespace_labels is not None:
        found["namespaceSelector"] = _selector(namespace_labels)
    if pod_labels is not None or namespace_labels is None:
        found["podSelector"] = _selector(pod_labels or {})
    return found


def own(server: McpServer) -> dict[str, Any]:
    """The pods of the server itself."""
    return pods(None, {SERVER_LABEL: server.name})


def block(text: str, excepted: Sequence[str] = ()) -> dict[str, Any]:
    """A network, or one address, without parts of it."""
    return {
        "ipBlock": {
            "cidr": str(ip_network(text)),
            **({"except": [str(ip_network(one)) for one in excepted]} if excepted else {}),
        }
    }


def clients(allowed: str, denied: Sequence[str]) -> Block | None:
    """An allowed network without the denied ones in it; None where nothing is left."""
    whole = ip_network(allowed)
    parts = [part for part in map(ip_network, denied) if part.version == whole.version]
    if any(_within(whole, part) for part in parts):
        return None
    inside = sorted(str(part) for part in parts if _within(part, whole))
    return {"cidr": str(whole), **({"except": inside} if inside else {})}


def _within(part: IPv4Network | IPv6Network, whole: IPv4Network | IPv6Network) -> bool:
    return part.prefixlen >= whole.prefixlen and part.network_address in whole


def _selector(labels: Mapping[str, str]) -> dict[str, Any]:
    return {"matchLabels": dict(sorted(labels.items()))} if labels else {}
