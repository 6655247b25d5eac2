import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from breakwater_operator.cli.certificates import Authority, CertificateError

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.requirement("A11")
def test_a_client_that_trusts_the_authority_trusts_what_it_vouches_for(tmp_path: Path) -> None:
    Authority.make(tmp_path / "ca", NOW)
    Authority.load(tmp_path / "ca", NOW).vouch(["localhost"], tmp_path, NOW)

    leaf, authority = x509.load_pem_x509_certificates((tmp_path / "tls.crt").read_bytes())
    verifier = (
        PolicyBuilder()
        .store(Store([authority]))
        .time(NOW)
        .build_server_verifier(x509.DNSName("localhost"))
    )
    assert verifier.verify(leaf, [])[0] == leaf


@pytest.mark.parametrize("host", ["weather.test", "*.test", "::1", f"{'a' * 60}.{'b' * 60}.test"])
def test_hosts_are_names_and_addresses(tmp_path: Path, host: str) -> None:
    Authority.make(tmp_path / "ca", NOW).vouch([host], tmp_path, NOW)

    leaf, _ = x509.load_pem_x509_certificates((tmp_path / "tls.crt").read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == [host]


@pytest.mark.parametrize(
    "host",
    ["", "a b", "https://a.test", "a.test:8443", "a.test.", "10.0.0.0/8", "mü.test", "a" * 64],
)
def test_what_is_no_host_is_named_and_nothing_is_written(tmp_path: Path, host: str) -> None:
    authority = Authority.make(tmp_path / "ca", NOW)

    with pytest.raises(CertificateError, match="is neither a host name nor an address"):
        authority.vouch([host], tmp_path / "out", NOW)

    assert not (tmp_path / "out").exists()


def test_private_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    Authority.make(tmp_path / "ca", NOW).vouch(["127.0.0.1"], tmp_path, NOW)

    modes = {stat.S_IMODE(it.stat().st_mode) for it in tmp_path.rglob("*.key")}

    assert modes == {0o600}


def test_an_authority_is_not_replaced(tmp_path: Path) -> None:
    Authority.make(tmp_path, NOW)

    with pytest.raises(CertificateError, match=r"ca\.key exists; remove it"):
        Authority.make(tmp_path, NOW)


def test_without_an_authority_it_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="make one with `breakwater dev ca`"):
        Authority.load(tmp_path, NOW)


def test_an_authority_that_has_ended_is_not_used(tmp_path: Path) -> None:
    Authority.make(tmp_path, NOW)

    with pytest.raises(CertificateError, match="ended on 2027-11-21"):
        Authority.load(tmp_path, NOW + timedelta(days=366))


def test_files_that_are_no_authority_are_named(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("nothing")
    (tmp_path / "ca.key").write_text("nothing")

    with pytest.raises(CertificateError, match="cannot be read"):
        Authority.load(tmp_path, NOW)
