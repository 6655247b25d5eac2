"""Which addresses a cluster uses: a block of the benchmarking range for each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from dev.cluster.provider import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterable

RANGE = IPv4Network("198.18.0.0/15")
"""RFC 2544 sets it aside for benchmarks in isolated networks, so no real host has it."""

BLOCKS = tuple(RANGE.subnets(new_prefix=18))
"""Eight clusters at once; each has room for 8,000 fake pods, 1,000 real ones, 4,000 Services."""

_WIDE_ROUTE = 8
"""Routes this wide are ways out, not somebody's use of our range (a VPN's 128.0.0.0/1)."""


@dataclass(frozen=True)
class Addresses:
    """The addresses of the cluster with this index."""

    index: int

    @property
    def block(self) -> IPv4Network:
        """All of them; the host has one route for it."""
        return BLOCKS[self.index]

    @cached_property
    def _quarters(self) -> list[IPv4Network]:
        return list(self.block.subnets(prefixlen_diff=2))

    @property
    def fake_pods(self) -> IPv4Network:
        """Given to pods on fake nodes; nothing answers there."""
        return next(iter(self.block.subnets(prefixlen_diff=1)))

    @property
    def services(self) -> IPv4Network:
        """Given to Services."""
        return self._quarters[2]

    @property
    def pods(self) -> IPv4Network:
        """Given to pods that run."""
        return next(iter(self._quarters[3].subnets(new_prefix=22)))

    @property
    def link(self) -> IPv4Network:
        """The wire between the host and the node."""
        return list(self._quarters[3].subnets(new_prefix=30))[-1]

    @property
    def host(self) -> IPv4Address:
        """This machine, as the cluster sees it."""
        return self.link[1]

    @property
    def node(self) -> IPv4Address:
        """The API server, the node and the add-ons."""
        return self.link[2]

    @property
    def api_service(self) -> IPv4Address:
        """The Service `kubernetes`; the API server takes the first address."""
        return self.services[1]

    @property
    def dns_service(self) -> IPv4Address:
        """Where pods send their DNS queries."""
        return self.services[10]

    @property
    def interface(self) -> str:
        """The host's end of the wire; names longer than 15 characters are refused."""
        return f"breakwater{self.index}"


def free_index(taken: Iterable[int], routes: Iterable[tuple[IPv4Network, str]]) -> int:
    """Choose a block that neither a cluster nor a route of the host uses.

    Args:
        taken: indexes of the clusters that exist, running or not.
        routes: what the host has routes for, and through which interface.
    """
    taken = set(taken)
    foreign = [net for net, _ in routes if net.prefixlen >= _WIDE_ROUTE]
    for index, block in enumerate(BLOCKS):
        if index not in taken and not any(block.overlaps(net) for net in foreign):
            return index
    used = ", ".join(str(net) for net in foreign if net.overlaps(RANGE)) or "none"
    raise ClusterError(
        f"no free address block for another cluster in {RANGE}: {len(taken)} of {len(BLOCKS)} "
        f"belong to clusters and these routes of the host are in it: {used}. Remove a cluster "
        "(`python -m dev.cluster down --name NAME`) or the routes."
    )
