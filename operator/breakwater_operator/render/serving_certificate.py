"""The certificate of a server: checked, and where pods end TLS with it taken over and kept."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from breakwater_contract.names import CERTIFICATE_FILE, PRIVATE_KEY_FILE
from breakwater_operator.api.errors import NotReadyError
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.reasons import Reason
from breakwater_operator.render.manifest import Live

SOURCE = {CERTIFICATE_FILE: "tls.crt", PRIVATE_KEY_FILE: "tls.key"}
"""What pods mount, and which entry of a Secret of type kubernetes.io/tls it is."""


@dataclass(frozen=True)
class ServingCertificate:
    """What pods show to clients. Its text shows nothing."""

    files: Mapping[str, bytes] = field(repr=False)
    """By the name of the file; empty where there has never been a good one."""
    wait: NotReadyError | None = None
    """What is wrong with the newest one of the pods, if something is."""
    problem: NotReadyError | None = None
    """The same of one for the Gateway or Ingress; clients inside are served all the same."""
    until: datetime | None = None
    """When this has to be decided anew although nothing changes: a certificate begins, or ends."""


NONE = ServingCertificate({})


def resolve(
    server: McpServer, source: Live | None, copy: Live | None, now: datetime
) -> ServingCertificate:
    """Decide which certificate pods show now, and whether it is a good one.

    Args:
        server: The server.
        source: The Secret that `looked_at` names, as it is; None where there is none.
        copy: The Secret `<name>-live` as it is; None where there is none.
        now: The time.
    """
    if looked_at(server) is None:
        return NONE
    found = _read(source, SOURCE)
    wrong = _wrong(server, source, found, now)
    until = _turns(found, now)
    if server.tls is None:
        after = "; the Gateway or Ingress cannot show it to clients"
        return ServingCertificate({}, problem=_said(wrong, after), until=until)
    if wrong is None:
        return ServingCertificate(found, until=until)
    held = _read(copy, dict(zip(SOURCE, SOURCE, strict=True)))
    after = "; pods keep the one they have" if held else "; no pod gets ready until then"
    return ServingCertificate(held, _said(wrong, after), until=until)


def looked_at(server: McpServer) -> str | None:
    """The Secret whose certificate we look at; None: there is none.

    One that cert-manager makes for a Gateway or Ingress is between these.
    """
    expose = server.spec.expose
    if expose is None or expose.certificate is None:
        return None
    return server.certificate_secret if expose.in_pod else expose.certificate.secret_name


Wrong = tuple[Reason, str]
Name = str | IPv4Address | IPv6Address | IPv4Network | IPv6Network
"""What a certificate may be for; of these clients use names and addresses."""


def _wrong(
    server: McpServer, source: Live | None, found: Mapping[str, bytes], now: datetime
) -> Wrong | None:
    where = f"Secret {server.namespace}/{server.certificate_secret}"
    if source is None:
        return Reason.CERTIFICATE_MISSING, f"{where} {_absent(server)}"
    if not found:
        how = "write both, as `kubectl create secret tls` does"
        return Reason.CERTIFICATE_MISSING, f"{where} has no tls.crt and tls.key; {how}"
    expose = server.spec.expose
    host = (expose.address or expose.host) if expose is not None else ""
    if fault := _fault(found, host, now):
        said = f"{where}: {fault}; write a certificate for {host} with its key"
        return Reason.CERTIFICATE_WRONG, said
    return None


def _said(wrong: Wrong | None, after: str) -> NotReadyError | None:
    return None if wrong is None else NotReadyError(wrong[0], wrong[1] + after)


def _absent(server: McpServer) -> str:
    if server.tls is not None and server.tls.issuer is not None:
        return f"is not there yet: cert-manager's Certificate {server.name} says why"
    return "does not exist; create it as `kubectl create secret tls` does, or correct its name"


def _read(secret: Live | None, entries: Mapping[str, str]) -> dict[str, bytes]:
    data = (secret or {}).get("data") or {}
    try:
        return {file: base64.b64decode(data[entry]) for file, entry in entries.items()}
    except (KeyError, binascii.Error):
        return {}


def _fault(files: Mapping[str, bytes], host: Name, now: datetime) -> str | None:
    """Say why a pair cannot be used; None: it can."""
    try:
        certificate = _first(files)
        key = load_pem_private_key(files[PRIVATE_KEY_FILE], password=None)
    except (ValueError, TypeError) as error:
        # What the library says of a key may contain parts of it.
        return f"tls.crt or tls.key is no PEM that can be read ({type(error).__name__})"
    if certificate.public_key() != key.public_key():
        return "tls.key is not the key of the first certificate in tls.crt"
    if certificate.not_valid_after_utc <= now:
        return f"the certificate ended at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    if certificate.not_valid_before_utc > now:
        begins = certificate.not_valid_before_utc
        return f"the certificate begins at {begins:%Y-%m-%d %H:%M} UTC and is not valid before"
    names = _names(certificate)
    if not any(_is_for(host, name) for name in names):
        return f"the certificate is for {', '.join(map(str, names)) or 'nobody'}, not for {host}"
    return None


def _first(files: Mapping[str, bytes]) -> x509.Certificate:
    return x509.load_pem_x509_certificates(files[CERTIFICATE_FILE])[0]


def _turns(files: Mapping[str, bytes], now: datetime) -> datetime | None:
    """Say when a certificate begins or ends next; None: never again, or there is none."""
    try:
        certificate = _first(files)
    except (KeyError, ValueError):
        return None
    dates = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    return min((date for date in dates if date > now), default=None)


def _names(certificate: x509.Certificate) -> list[Name]:
    """Say whom a certificate is for: names, and addresses."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    names = found.get_values_for_type(x509.DNSName)
    return [*names, *found.get_values_for_type(x509.IPAddress)]


def _is_for(host: Name, name: Name) -> bool:
    """Whether clients take a certificate for a name as one for a host.

    Where the host is an address, one that is written as a name does not count.
    """
    if not isinstance(host, str) or not isinstance(name, str):
        return host == name
    if name.startswith("*."):
        return host.partition(".")[2].lower() == name[2:].lower()
    return host.lower() == name.lower()
