"""TLS on the public port: versions, application protocol, certificates that change."""

import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from breakwater_contract.limits import Limits, Timeouts, Tls
from breakwater_runtime.calls import StartError
from breakwater_runtime.http.tls import Certificates
from tests.unit.runtime.wire import BOUND_SECONDS, GET, Serving, answer, connect, echo, serving

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def write_pair(folder: Path, name: str, passphrase: bytes | None = None) -> None:
    """Write a certificate for `name` and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    encryption = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    pem = serialization.Encoding.PEM
    (folder / "tls.crt").write_bytes(certificate.public_bytes(pem))
    (folder / "tls.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, encryption)
    )


@dataclass
class Pair:
    """A folder with a pair, and what a server has loaded from it."""

    folder: Path
    loads: Counter[str] = field(default_factory=Counter)

    def load(self, min_version: str = "1.3") -> Certificates:
        tls = Tls.model_validate(
            {"certificateFile": "tls.crt", "keyFile": "tls.key", "minVersion": min_version}
        )
        return Certificates(
            tls, self.folder, count_load=lambda outcome: self.loads.update([outcome])
        )


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    write_pair(tmp_path, "first")
    return Pair(tmp_path)


@contextlib.contextmanager
def handshake(
    port: int, *, newest: ssl.TLSVersion | None = None, alpn: list[str] | None = None
) -> Iterator[ssl.SSLSocket]:
    """Connect as a client that trusts everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if newest is not None:
        context.maximum_version = newest
    if alpn:
        context.set_alpn_protocols(alpn)
    with connect(port) as plain, context.wrap_socket(plain) as client:
        yield client


def name_of(client: ssl.SSLSocket) -> str:
    certificate = client.getpeercert(binary_form=True)
    assert certificate is not None
    name = x509.load_der_x509_certificate(certificate).subject.rfc4514_string()
    return name.removeprefix("CN=")


def served_name(server: Serving) -> str:
    with handshake(server.port) as client:
        client.sendall(GET)
        assert answer(client).status == 200
        return name_of(client)


@pytest.mark.requirement("T1")
@pytest.mark.parametrize(
    ("min_version", "newest", "spoken"),
    [
        ("1.3", ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
        ("1.3", ssl.TLSVersion.TLSv1_2, None),
        ("1.2", ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
        ("1.2", ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
    ],
)
def test_the_oldest_version_is_chosen(
    pair: Pair, min_version: str, newest: ssl.TLSVersion, spoken: str | None
) -> None:
    with serving(echo, tls=pair.load(min_version).context) as server:
        if spoken is None:
            with pytest.raises(ssl.SSLError), handshake(server.port, newest=newest):
                pass
            return
        with handshake(server.port, newest=newest) as client:
            client.sendall(GET)

            assert answer(client).status == 200
            assert client.version() == spoken
            cipher = client.cipher()
            assert cipher is not None
            assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]


@pytest.mark.requirement("T1")
@pytest.mark.parametrize(
    ("offered", "chosen"), [(["h2", "http/1.1"], "http/1.1"), (["h2"], None), (None, None)]
)
def test_http_2_is_not_offered(pair: Pair, offered: list[str] | None, chosen: str | None) -> None:
    with (
        serving(echo, tls=pair.load().context) as server,
        handshake(server.port, alpn=offered) as client,
    ):
        assert client.selected_alpn_protocol() == chosen


@pytest.mark.requirement("T1")
def test_a_new_pair_is_taken_over_and_open_connections_go_on(pair: Pair) -> None:
    certificates = pair.load()

    with serving(echo, tls=certificates.context) as server, handshake(server.port) as old:
        write_pair(pair.folder, "second")
        certificates.reload()
        certificates.reload()
        old.sendall(GET)

        assert served_name(server) == "second"
        assert answer(old).status == 200
    assert pair.loads == {"loaded": 2}
    assert certificates.expires_seconds == (NOW + timedelta(days=30)).timestamp()


@pytest.mark.requirement("T1")
@pytest.mark.parametrize("broken", ["mismatch", "no key", "garbage", "passphrase", "empty"])
def test_a_pair_that_does_not_fit_changes_nothing_until_it_does(pair: Pair, broken: str) -> None:
    certificates = pair.load()
    key = (pair.folder / "tls.key").read_bytes()

    with serving(echo, tls=certificates.context) as server:
        write_pair(pair.folder, "second", b"secret" if broken == "passphrase" else None)
        second = (pair.folder / "tls.key").read_bytes()
        match broken:
            case "mismatch":
                (pair.folder / "tls.key").write_bytes(key)
            case "no key":
                (pair.folder / "tls.key").unlink()
            case "garbage":
                (pair.folder / "tls.key").write_text("not PEM")
            case "empty":
                (pair.folder / "tls.crt").write_text("")
        certificates.reload()
        assert served_name(server) == "first"
        fault = certificates.fault or ""
        assert "tls.key" in fault
        assert second.decode() not in fault
        write_pair(pair.folder, "third")
        certificates.reload()

        assert served_name(server) == "third"
    assert certificates.fault is None
    assert pair.loads == {"loaded": 2, "refused": 1}


def test_a_server_does_not_start_with_a_pair_that_does_not_fit(pair: Pair) -> None:
    key = (pair.folder / "tls.key").read_bytes()
    write_pair(pair.folder, "second")
    (pair.folder / "tls.key").write_bytes(key)

    with pytest.raises(StartError, match=r"tls\.key are not a certificate and its key"):
        pair.load()


def test_plain_http_on_a_tls_port_gets_no_answer_and_harms_nobody(pair: Pair) -> None:
    with serving(echo, tls=pair.load().context) as server:
        with connect(server.port) as plain:
            plain.sendall(GET)
            assert plain.is_closed()

        assert served_name(server) == "first"


@pytest.mark.requirement("K2")
def test_slow_clients_are_cut_on_tls_too(pair: Pair) -> None:
    limits = Limits(timeouts=Timeouts(headers="200ms"))

    with (
        serving(echo, limits, tls=pair.load().context) as server,
        handshake(server.port) as client,
    ):
        client.sendall(b"GET /x HT")

        assert answer(client).status == 408


def test_a_client_that_never_shakes_hands_is_cut(pair: Pair) -> None:
    with (
        serving(echo, tls=pair.load().context, handshake_seconds=0.2) as server,
        socket.create_connection(("127.0.0.1", server.port), BOUND_SECONDS) as silent,
    ):
        assert silent.recv(1) == b""
