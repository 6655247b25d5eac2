"""Which addresses a remote server may have: decided after its name was looked up, each time."""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from breakwater_contract.networks import network

Address = IPv4Address | IPv6Address

METADATA = frozenset(map(ip_address, ("169.254.169.254", "100.100.100.200", "fd00:ec2::254")))
"""Where clouds tell machines their credentials."""


class ForbiddenError(OSError):
    """The name leads to no address that may be asked."""


class Addresses:
    """Looks names up, and lets addresses of the Internet through, and those that were allowed."""

    def __init__(self, allowed: Iterable[str]) -> None:
        """Allow networks that are not of the Internet."""
        self._allowed = [network(text) for text in allowed]

    def permits(self, address: Address) -> bool:
        """Say whether an address may be asked."""
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        holding = [each for each in self._allowed if address in each]
        if _is_delicate(address):
            return any(each.num_addresses == 1 for each in holding)
        return bool(holding) or address.is_global

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Look a name up, and get the addresses that may be asked.

        Raises:
            OSError: There is none.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = dict.fromkeys(str(each[4][0]) for each in found)
        # A scope, as in fe80::1%eth0, is of no interest: such addresses are of the link.
        permitted = [text for text in addresses if self.permits(ip_address(text.split("%")[0]))]
        if not permitted:
            raise ForbiddenError(
                f"{host} is at {', '.join(addresses)}, which is not of the Internet; write its "
                "network into remote.addresses, or another URL"
            )
        return permitted


def _is_delicate(address: Address) -> bool:
    """Say whether an address is the machine's own, the link's, or tells secrets."""
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address in METADATA
    )
