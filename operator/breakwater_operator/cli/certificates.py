"""Certificates for development: an authority of this machine's own, and what it vouches for."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from breakwater_operator.api.errors import BreakwaterError

CA_CERTIFICATE, CA_KEY = "ca.crt", "ca.key"
CERTIFICATE, KEY = "tls.crt", "tls.key"

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")

SUBJECT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Breakwater development")])
"""Of every certificate: a host may be longer than a name here can be, and no client looks at it."""

LABEL = r"[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?"
HOST = re.compile(rf"(\*\.)?{LABEL}(\.{LABEL})*", re.IGNORECASE | re.ASCII)
HOST_MAX = 253

CA_LIFETIME = timedelta(days=365)
LIFETIME = timedelta(days=90)
CLOCK_MARGIN = timedelta(minutes=5)
"""How far a client's clock may be behind ours."""


class CertificateError(BreakwaterError):
    """There is no authority, or it cannot vouch for anything."""


@dataclass(frozen=True)
class Authority:
    """Vouches for servers of this machine. Whoever has its key can pass for any of them."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls, folder: Path, now: datetime) -> "Authority":
        """Make one and keep it in a folder; one that is there stays.

        Raises:
            CertificateError: There is one already, or the folder cannot be written.
        """
        if (folder / CA_KEY).exists():
            raise CertificateError(
                f"{folder / CA_KEY} exists; remove it and {folder / CA_CERTIFICATE} to have "
                "another authority, and tell every client of the new one"
            )
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Breakwater development CA")])
        builder = _builder(name, name, key, now, CA_LIFETIME).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        usage = _usage(signs_certificates=True)
        certificate = builder.add_extension(usage, critical=True).sign(key, hashes.SHA256())
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(folder / CA_KEY, _key_pem(key), 0o600)
            _write(folder / CA_CERTIFICATE, _pem(certificate), 0o644)
        except OSError as error:
            raise CertificateError(f"{error.filename}: {error.strerror}") from error
        return cls(certificate, key)

    @classmethod
    def load(cls, folder: Path, now: datetime) -> "Authority":
        """Get the one that is kept in a folder.

        Raises:
            CertificateError: There is none, or it is no longer good.
        """
        try:
            certificate = x509.load_pem_x509_certificate((folder / CA_CERTIFICATE).read_bytes())
            key = serialization.load_pem_private_key((folder / CA_KEY).read_bytes(), None)
        except FileNotFoundError as error:
            raise CertificateError(
                f"there is no authority in {folder}; make one with `breakwater dev ca`"
            ) from error
        except (OSError, TypeError, ValueError) as error:
            raise CertificateError(f"the authority in {folder} cannot be read: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise CertificateError(f"{folder / CA_KEY} was not made by `breakwater dev ca`")
        if certificate.not_valid_after_utc <= now:
            raise CertificateError(
                f"the authority in {folder} ended on {certificate.not_valid_after_utc:%Y-%m-%d}; "
                "remove its two files and make another with `breakwater dev ca`"
            )
        return cls(certificate, key)

    def vouch(self, hosts: Sequence[str], folder: Path, now: datetime) -> None:
        """Write a certificate for hosts, and its key, into a folder.

        Raises:
            CertificateError: One of them is no host, or the folder cannot be written.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        ends = min(LIFETIME, self.certificate.not_valid_after_utc - now)
        certificate = (
            _builder(SUBJECT, self.certificate.subject, key, now, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.SubjectAlternativeName(list(map(_alternative, hosts))), False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
            )
            .sign(self.key, hashes.SHA256())
        )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder / KEY, _key_pem(key), 0o600)
            _write(folder / CERTIFICATE, _pem(certificate) + _pem(self.certificate), 0o644)
        except OSError as error:
            raise CertificateError(f"{error.filename}: {error.strerror}") from error


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_MARGIN)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if len(host) > HOST_MAX or not HOST.fullmatch(host):
            raise CertificateError(
                f"{host!r} is neither a host name nor an address; write it without scheme and "
                "port, as in weather.test or 127.0.0.1, and other letters as xn--"
            ) from None
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(file: Path, content: bytes, mode: int) -> None:
    """Write a file that had these rights before anything stood in it."""
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=mode)
    new.write_bytes(content)
    new.replace(file)
