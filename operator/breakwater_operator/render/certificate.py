"""The certificate by which pods of one server know each other.

Its authority signs it and nothing else: that key is thrown away. The same bytes and time always
give the same certificate.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from breakwater_contract.names import internal_host

LIFETIME = timedelta(days=365)
"""Far longer than a generation is used, so that pods still know each other after an operator was
away for long."""

SKEW = timedelta(hours=1)
"""How far the clock of a node may be behind ours."""

AUTHORITY = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "breakwater pods")])
POD = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "breakwater pod")])


@dataclass(frozen=True)
class Made:
    """A certificate and what belongs to it, as PEM."""

    authority: str
    certificate: str
    key: str = field(repr=False)


def make(server_uid: str, now: datetime, authority_seed: bytes, seed: bytes) -> Made:
    """Make a certificate for the pods of a server, of 32 random bytes for each of its two keys."""
    signer = Ed25519PrivateKey.from_private_bytes(authority_seed)
    key = Ed25519PrivateKey.from_private_bytes(seed)
    host = internal_host(server_uid)
    authority = _signed(_builder(AUTHORITY, now, signer, signer), OF_AN_AUTHORITY, signer)
    names = x509.SubjectAlternativeName([x509.DNSName(host)])
    extensions = (*OF_A_POD, (names, False))
    certificate = _signed(_builder(POD, now, key, signer), extensions, signer)
    return Made(_pem(authority), _pem(certificate), _key_pem(key))


def _builder(
    subject: x509.Name, now: datetime, key: Ed25519PrivateKey, signer: Ed25519PrivateKey
) -> x509.CertificateBuilder:
    public, signing = key.public_key(), signer.public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(AUTHORITY)
        .public_key(public)
        # No other certificate has this key, so that none has this number.
        .serial_number(int.from_bytes(identifier.digest[:16], "big") >> 1 or 1)
        .not_valid_before(now - SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing), critical=False)
    )


def _signed(
    builder: x509.CertificateBuilder, extensions: "Extensions", signer: Ed25519PrivateKey
) -> x509.Certificate:
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, critical=is_critical)
    return builder.sign(signer, None)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


Extensions = Sequence[tuple[x509.ExtensionType, bool]]
"""Each with whether it is critical."""

OF_AN_AUTHORITY: Extensions = (
    (x509.BasicConstraints(ca=True, path_length=0), True),
    (_usage(signs_certificates=True), True),
)
OF_A_POD: Extensions = (
    (x509.BasicConstraints(ca=False, path_length=None), True),
    (_usage(signs_certificates=False), True),
    (
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
        False,
    ),
)
"""What every certificate says: made once, since each costs as much as a signature."""


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
