"""Ports for servers that tests start."""

import fcntl
import os
import random
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

PORTS = range(20_000, 30_000)
"""Linux gives connections the ports from 32,768 on (`net.ipv4.ip_local_port_range`): one that was
free a moment ago may be somebody's by the time that a server listens on it."""

_CHOICE = random.SystemRandom()
"""Others that run beside choose too, and not the same."""

_HELD = Path(tempfile.gettempdir()) / f"breakwater-test-ports-{os.getuid()}"
"""Each process of tests locks a byte of it for each port that it has chosen, until it ends: who
was given one may listen there much later, and now and then."""

_chosen: set[int] = set()
_descriptors: list[int] = []


def free_port() -> int:
    """Find a port that nobody has chosen or listens on, and that no connection is given."""
    while True:
        port = _CHOICE.choice(PORTS)
        if port in _chosen or not _hold(port):
            continue
        _chosen.add(port)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port


def _hold(port: int) -> bool:
    """Whether no other process has chosen it; none can from now on."""
    if not _descriptors:
        _descriptors.append(os.open(_HELD, os.O_RDWR | os.O_CREAT, 0o600))
    with suppress(OSError):
        fcntl.lockf(_descriptors[0], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        return True
    return False
