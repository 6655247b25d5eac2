"""Which ports of the pod are open to others, as the kernel lists them."""

import ipaddress
import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
LISTEN = "0A"
_ADDRESS, _STATE = 1, 3


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that takes connections."""

    address: str
    port: int

    @property
    def is_local(self) -> bool:
        """Whether only processes of the pod reach it."""
        return ipaddress.ip_address(self.address).is_loopback

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


def listeners(tables: Iterable[Path] = TABLES) -> Iterator[Listener]:
    """Yield every socket that listens in the network namespace of this process."""
    for table in tables:
        try:
            with table.open() as rows:
                next(rows)  # the names of the columns
                yield from _listeners(rows)
        except FileNotFoundError:
            continue  # there is no IPv6


def _listeners(rows: Iterable[str]) -> Iterator[Listener]:
    """Read a table as far as it lists listeners: they come first, and connections may be many."""
    for row in rows:
        columns = row.split()
        if columns[_STATE] != LISTEN:
            return
        address, _, port = columns[_ADDRESS].partition(":")
        yield Listener(_address(address), int(port, 16))


def _address(text: str) -> str:
    """Read an address, which the kernel writes as words of this machine's byte order."""
    raw = bytes.fromhex(text)
    words = struct.unpack(f">{len(raw) // 4}I", raw)
    found = ipaddress.ip_address(struct.pack(f"={len(words)}I", *words))
    return str(getattr(found, "ipv4_mapped", None) or found)


def exposed(
    found: Iterable[Listener], ports: Collection[int] | None, known: Collection[int]
) -> Listener | None:
    """Find a socket that others reach and should not.

    Args:
        found: The sockets that there are.
        ports: The only ports that matter; None: all of them.
        known: Ports that may be open to others.
    """
    for listener in found:
        matters = ports is None or listener.port in ports
        if matters and listener.port not in known and not listener.is_local:
            return listener
    return None
