"""Certificates that vouch for themselves."""

from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SINCE_LONG = datetime(2020, 1, 1, tzinfo=UTC)
FOR_LONG = datetime(2100, 1, 1, tzinfo=UTC)


def localhost_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate and its key; good for a long time, since clients look at the clock."""
    certificate, key = self_signed("localhost", FOR_LONG)
    crt, private = folder / "tls.crt", folder / "tls.key"
    crt.write_bytes(certificate)
    private.write_bytes(key)
    return crt, private


def _named(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def self_signed(
    host: str, until: datetime = FOR_LONG, since: datetime = SINCE_LONG
) -> tuple[bytes, bytes]:
    """Make a certificate and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName([_named(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(pem), private
