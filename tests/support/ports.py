"""Ports for servers that tests start."""

import random
import socket

PORTS = range(20_000, 30_000)
"""Linux gives connections the ports from 32,768 on (`net.ipv4.ip_local_port_range`): one that was
free a moment ago may be somebody's by the time that a server listens on it."""

_CHOICE = random.SystemRandom()
"""Others that run beside choose too, and not the same."""


def free_port() -> int:
    """Find a port that nobody listens on, and that no connection of others is given."""
    while True:
        port = _CHOICE.choice(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port
