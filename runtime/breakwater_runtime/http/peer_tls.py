"""TLS between the pods of one server: each shows the server's certificate, and asks for it."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from breakwater_contract.names import (
    INTERNAL_CA_FILE,
    INTERNAL_CERTIFICATE_FILE,
    INTERNAL_KEY_FILE,
)


@dataclass(frozen=True, slots=True)
class PeerTls:
    """One state of the certificate, ready for use in both directions."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def load(directory: Path) -> PeerTls:
    """Load certificate, key and the authorities that are trusted; TLS 1.3 and nothing older.

    Raises:
        OSError: A file cannot be read, or does not hold what it should.
    """
    return PeerTls(
        _context(ssl.PROTOCOL_TLS_SERVER, directory), _context(ssl.PROTOCOL_TLS_CLIENT, directory)
    )


def listening(newest: Callable[[], PeerTls | None]) -> ssl.SSLContext:
    """Make a context to listen with, whose handshakes each get the newest certificate."""
    context = _strict(ssl.PROTOCOL_TLS_SERVER)

    def hand_out(handshake: ssl.SSLObject, *_: object) -> int | None:
        tls = newest()
        if tls is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        handshake.context = tls.server
        return None

    context.sni_callback = hand_out
    return context


def _strict(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # connections are kept, and hardly ever resumed
    return context


def _context(protocol: int, directory: Path) -> ssl.SSLContext:
    context = _strict(protocol)
    context.load_verify_locations(directory / INTERNAL_CA_FILE)
    # Without a passphrase to give, OpenSSL would ask for one at the terminal.
    context.load_cert_chain(
        directory / INTERNAL_CERTIFICATE_FILE, directory / INTERNAL_KEY_FILE, password=lambda: ""
    )
    return context
