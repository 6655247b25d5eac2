"""TLS: which versions are spoken, and certificates that change under a running server."""

import asyncio
import hashlib
import logging
import ssl
from collections.abc import Callable
from pathlib import Path

from cryptography import x509

from breakwater_contract.limits import Tls
from breakwater_runtime.calls import StartError

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""How often the two files are read again; kubelet swaps them without an event that reaches us."""

CIPHERS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""What TLS 1.2 may use: forward secrecy and authenticated encryption; TLS 1.3 has no other."""

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Certificates:
    """The certificate of the moment; the last good one stays until another proves good."""

    def __init__(self, tls: Tls, directory: Path, *, count_load: Callable[[str], None]) -> None:
        """Load the pair for the first time; relative paths start at `directory`.

        Raises:
            StartError: The files do not hold a certificate and its key.
        """
        self._certificate = directory / tls.certificate_file
        self._key = directory / tls.key_file
        self._oldest = VERSIONS[tls.min_version]
        self._count_load = count_load
        self.fault: str | None = None
        """Why the newest pair was not taken over; None: it was."""
        self.expires_seconds = 0.0
        """When the certificate ends, in seconds since the epoch."""
        self._seen = self._digest()
        try:
            self._newest = self._load()
        except (OSError, ValueError) as error:
            raise StartError(f"tls: {self._describe(error)}") from error
        self.context = self._newest
        """What a server listens with; each handshake gets the newest pair."""
        self.context.sni_callback = self._hand_out
        self._count_load("loaded")

    def _hand_out(self, handshake: ssl.SSLObject, *_: object) -> None:
        """Give a handshake the newest context; OpenSSL asks even where no name was sent."""
        handshake.context = self._newest

    def _load(self) -> ssl.SSLContext:
        """Load the pair into a context of its own: half a pair must not reach the one in use."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self._oldest
        context.set_ciphers(CIPHERS_1_2)
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        # HTTP/2 belongs to the Gateway.
        context.set_alpn_protocols(["http/1.1"])
        # Without a passphrase to give, OpenSSL would ask for one at the terminal.
        context.load_cert_chain(self._certificate, self._key, password=lambda: "")
        leaf = x509.load_pem_x509_certificates(self._certificate.read_bytes())[0]
        self.expires_seconds = leaf.not_valid_after_utc.timestamp()
        return context

    def _digest(self) -> bytes:
        digest = hashlib.sha256()
        for path in (self._certificate, self._key):
            try:
                content = path.read_bytes()
            except OSError as error:
                content = str(error.errno).encode()
            digest.update(hashlib.sha256(content).digest())
        return digest.digest()

    def _describe(self, error: Exception) -> str:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        return (
            f"{self._certificate} and {self._key} are not a certificate and its key "
            f"({reason}); write both as PEM, the key without a passphrase"
        )

    def reload(self) -> None:
        """Take over what the files hold now, if it has changed and is good."""
        digest = self._digest()
        if digest == self._seen:
            return
        self._seen = digest
        try:
            self._newest = self._load()
        except (OSError, ValueError) as error:
            self.fault = self._describe(error)
            self._count_load("refused")
            logger.error(  # noqa: TRY400 - what OpenSSL says is in the fault; its trace says no more
                "certificate refused, the last good one stays", extra={"fault": self.fault}
            )
        else:
            self.fault = None
            self._count_load("loaded")
            logger.info("certificate loaded")

    async def watch(self, interval_seconds: float = POLL_SECONDS) -> None:
        """Reload whenever the files change, for ever."""
        while True:
            await asyncio.sleep(interval_seconds)
            await asyncio.to_thread(self.reload)
