from ipaddress import IPv4Network

import pytest

from dev.cluster.local.addresses import BLOCKS, RANGE, Addresses, free_index
from dev.cluster.provider import ClusterError

ALL = range(len(BLOCKS))


@pytest.mark.parametrize("index", ALL)
def test_the_parts_of_a_block_lie_in_it_and_do_not_overlap(index: int) -> None:
    addresses = Addresses(index)
    parts = [addresses.fake_pods, addresses.services, addresses.pods, addresses.link]

    assert all(part.subnet_of(addresses.block) for part in parts)
    assert not any(a.overlaps(b) for a in parts for b in parts if a is not b)
    assert {addresses.host, addresses.node} <= set(addresses.link.hosts())


def test_two_clusters_share_no_address_and_no_interface() -> None:
    blocks = [Addresses(index).block for index in ALL]

    assert not any(a.overlaps(b) for a in blocks for b in blocks if a is not b)
    assert all(block.subnet_of(RANGE) for block in blocks)
    assert len({Addresses(index).interface for index in ALL}) == len(ALL)
    assert all(len(Addresses(index).interface) <= 15 for index in ALL)


def test_a_cluster_gets_the_first_block_that_nobody_uses() -> None:
    routes = [
        (IPv4Network("0.0.0.0/1"), "vpn0"),
        (IPv4Network("192.0.2.0/24"), "eth0"),
        (BLOCKS[1], "breakwater1"),
        (IPv4Network("198.18.130.7/32"), "somebody"),
    ]

    assert free_index([0], routes) == 3


def test_no_free_block_is_said_with_what_uses_them() -> None:
    with pytest.raises(ClusterError, match=r"198\.18\.0\.0/15.*`python -m dev\.cluster down"):
        free_index([], [(IPv4Network("198.18.0.0/15"), "tun0")])
