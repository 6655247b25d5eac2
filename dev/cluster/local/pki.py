"""The cluster's certificate authority, its certificates and its kubeconfigs."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dev.cluster import files

if TYPE_CHECKING:
    from pathlib import Path

    from dev.cluster.local.addresses import Addresses
    from dev.cluster.local.state import Layout

NODE_NAME = "node"

_VALID = dt.timedelta(days=3650)
_SKEW = dt.timedelta(minutes=5)
_ADMINISTRATORS = ("system:masters",)


@dataclass(frozen=True, kw_only=True)
class _Identity:
    common_name: str
    organizations: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


_CLIENTS = {
    "admin": _Identity(common_name="admin", organizations=_ADMINISTRATORS),
    "controller-manager": _Identity(common_name="system:kube-controller-manager"),
    "scheduler": _Identity(common_name="system:kube-scheduler"),
    "kube-proxy": _Identity(common_name="system:kube-proxy"),
    # The add-ons' rights are not what anybody tests here.
    "addons": _Identity(common_name="breakwater-addons", organizations=_ADMINISTRATORS),
    "apiserver-to-kubelet": _Identity(
        common_name="kube-apiserver-kubelet-client", organizations=_ADMINISTRATORS
    ),
    "front-proxy": _Identity(common_name="front-proxy-client"),
}


def ensure(layout: Layout, addresses: Addresses) -> None:
    """Make the certificates once; the folder is there whole or not at all."""
    if layout.pki.is_dir():
        return
    scratch = layout.pki.with_name(".pki")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    scratch.chmod(0o700)
    authority = _Authority(scratch)
    for name, identity in {**_CLIENTS, **_servers(addresses)}.items():
        authority.issue(name, identity)
    _write_key(scratch, "service-accounts", rsa.generate_private_key(65537, 2048))
    scratch.rename(layout.pki)


def write_kubeconfigs(layout: Layout, addresses: Addresses) -> None:
    """Write the administrator's kubeconfig and the components', complete in themselves."""
    server = f"https://{addresses.node}:6443"
    for user in ("controller-manager", "scheduler", "kube-proxy", "addons", "kubelet"):
        content = _kubeconfig(layout, user, server)
        files.write(layout.client_config(user), content, mode=0o600)
    files.write(layout.kubeconfig, _kubeconfig(layout, "admin", server), mode=0o600)


def _servers(addresses: Addresses) -> dict[str, _Identity]:
    node = str(addresses.node)
    names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
    full = "kubernetes.default.svc.cluster.local"
    hosts = ("127.0.0.1", "localhost", node, str(addresses.api_service), *names, full)
    return {
        "apiserver": _Identity(common_name="kube-apiserver", hosts=hosts),
        "kubelet": _Identity(
            common_name=f"system:node:{NODE_NAME}",
            organizations=("system:nodes",),
            hosts=(NODE_NAME, node),
        ),
        "metrics-server": _Identity(
            common_name="metrics-server", hosts=("metrics-server.kube-system.svc",)
        ),
    }


def _kubeconfig(layout: Layout, user: str, server: str) -> str:
    def inline(name: str) -> str:
        return base64.b64encode((layout.pki / name).read_bytes()).decode()

    name = f"breakwater-{layout.name}"
    # kubectl and every client library read YAML, of which JSON is a part.
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {"server": server, "certificate-authority-data": inline("ca.crt")},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": inline(f"{user}.crt"),
                    "client-key-data": inline(f"{user}.key"),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    }
    return json.dumps(config, indent=1) + "\n"


class _Authority:
    """Signs the certificates of one cluster, valid in this cluster only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._now = dt.datetime.fromtimestamp(time.time(), dt.UTC)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(_Identity(common_name="breakwater-dev-cluster"))
        public = self._key.public_key()
        self._identifier = x509.SubjectKeyIdentifier.from_public_key(public)
        certificate = (
            self._builder(self._name, public)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        _write_key(folder, "ca", self._key)
        _write_certificate(folder, "ca", certificate)

    def issue(self, name: str, identity: _Identity) -> None:
        """Make a key and its certificate, for clients and servers alike."""
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = (
            self._builder(_name(identity), key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._identifier),
                critical=False,
            )
        )
        if identity.hosts:
            alternatives = x509.SubjectAlternativeName([_host(host) for host in identity.hosts])
            builder = builder.add_extension(alternatives, critical=False)
        _write_key(self._folder, name, key)
        _write_certificate(self._folder, name, builder.sign(self._key, hashes.SHA256()))

    def _builder(
        self, subject: x509.Name, public: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _SKEW)
            .not_valid_after(self._now + _VALID)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )


def _name(identity: _Identity) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in identity.organizations]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, identity.common_name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(
    folder: Path, name: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
) -> None:
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    files.write(folder / f"{name}.key", private, mode=0o600)
    files.write(folder / f"{name}.pub", public)


def _write_certificate(folder: Path, name: str, certificate: x509.Certificate) -> None:
    files.write(folder / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))
