"""Where requests come from: who is believed about it, and who is let in."""

import pytest
from pydantic import ValidationError

from breakwater_contract import access as settings
from breakwater_runtime.http.addresses import Addresses, network_of

PROXY = "10.0.0.1"
RULES = Addresses(settings.Addresses(trusted_proxies=("10.0.0.0/8", "fd00::/8")))


def scope(client: str | None, *headers: tuple[str, str], scheme: str = "http") -> dict[str, object]:
    return {
        "type": "http",
        "scheme": scheme,
        "client": (client, 1234) if client else None,
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }


@pytest.mark.requirement("T4", "A10")
@pytest.mark.parametrize(
    ("client", "forwarded", "address"),
    [
        pytest.param("203.0.113.9", ["198.51.100.1"], "203.0.113.9", id="a-stranger-says"),
        pytest.param(PROXY, [], PROXY, id="nothing-said"),
        pytest.param(PROXY, ["198.51.100.1"], "198.51.100.1", id="the-proxy-says"),
        pytest.param(PROXY, ["1.1.1.1, 198.51.100.1"], "198.51.100.1", id="the-client-adds"),
        pytest.param(PROXY, ["1.1.1.1", "198.51.100.1"], "198.51.100.1", id="in-another-line"),
        pytest.param(PROXY, ["198.51.100.1, 10.9.9.9"], "198.51.100.1", id="two-proxies"),
        pytest.param(PROXY, ["10.1.1.1, 10.9.9.9"], "10.1.1.1", id="proxies-only"),
        pytest.param(PROXY, ["198.51.100.1:55555"], "198.51.100.1", id="port"),
        pytest.param(PROXY, ["[2001:db8::1]:55555"], "2001:db8::1", id="ipv6-port"),
        pytest.param(PROXY, ["2001:db8::1"], "2001:db8::1", id="ipv6"),
        pytest.param(PROXY, ["198.51.100.1, unknown"], PROXY, id="unreadable"),
        pytest.param(PROXY, ["198.51.100.1, "], PROXY, id="empty"),
        pytest.param("fd00::1", ["198.51.100.1"], "198.51.100.1", id="ipv6-proxy"),
        pytest.param("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1", id="mapped-proxy"),
        pytest.param(PROXY, [", ".join(["10.0.0.1"] * 5000)], PROXY, id="flood"),
        pytest.param(None, ["198.51.100.1"], "", id="no-address"),
    ],
)
def test_only_trusted_proxies_are_believed(
    client: str | None, forwarded: list[str], address: str
) -> None:
    headers = [("x-forwarded-for", value) for value in forwarded]
    other = ("forwarded", "for=8.8.8.8")

    assert RULES.of(scope(client, *headers, other)) == address


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("for=198.51.100.1", "198.51.100.1"),
        ('for="[2001:db8::1]:443";proto=https', "2001:db8::1"),
        ("for=1.1.1.1, For=198.51.100.1;by=10.0.0.2", "198.51.100.1"),
        ("for=_hidden", PROXY),
        ("proto=https", PROXY),
    ],
)
def test_the_standard_header_is_read_where_the_settings_say_so(
    forwarded: str, address: str
) -> None:
    rules = Addresses(settings.Addresses(trusted_proxies=("10.0.0.0/8",), forwarded="Forwarded"))

    found = rules.of(scope(PROXY, ("forwarded", forwarded), ("x-forwarded-for", "8.8.8.8")))

    assert found == address


@pytest.mark.requirement("T1", "K1")
@pytest.mark.parametrize(
    ("client", "scheme", "headers", "secure"),
    [
        pytest.param("203.0.113.9", "https", [], True, id="here"),
        pytest.param("203.0.113.9", "http", [("x-forwarded-proto", "https")], False, id="stranger"),
        pytest.param(PROXY, "http", [("x-forwarded-proto", "https")], True, id="proxy"),
        pytest.param(PROXY, "http", [("x-forwarded-proto", "https, http")], False, id="last-hop"),
        pytest.param(PROXY, "http", [], False, id="nothing-said"),
        pytest.param(PROXY, "http", [("forwarded", "proto=https")], False, id="other-header"),
        pytest.param(None, "http", [("x-forwarded-proto", "https")], False, id="no-address"),
    ],
)
def test_only_trusted_proxies_are_believed_about_https(
    client: str | None, scheme: str, headers: list[tuple[str, str]], secure: bool
) -> None:
    assert RULES.is_secure(scope(client, *headers, scheme=scheme)) is secure


def test_the_standard_header_says_https_too() -> None:
    rules = Addresses(settings.Addresses(trusted_proxies=(f"{PROXY}/32",), forwarded="Forwarded"))

    assert rules.is_secure(scope(PROXY, ("forwarded", 'for=1.1.1.1;proto="https"')))
    assert not rules.is_secure(scope(PROXY, ("forwarded", "proto=https, proto=http")))


@pytest.mark.requirement("T4")
@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("192.0.2.5", True),
        ("::ffff:192.0.2.5", True),
        ("192.0.2.77", False),
        ("198.51.100.1", False),
        ("2001:db8::1", True),
        ("2001:db8::1%eth0", True),
        ("nonsense", False),
        ("", False),
    ],
)
def test_what_is_denied_is_denied_whatever_is_allowed(address: str, allowed: bool) -> None:
    rules = Addresses(
        settings.Addresses(allow=("192.0.2.0/24", "2001:db8::/32"), deny=("192.0.2.64/26",))
    )

    assert rules.allows(address) is allowed


def test_without_rules_every_address_is_allowed() -> None:
    assert Addresses().allows("")


def test_a_caller_with_ipv6_has_64_bits() -> None:
    assert (
        network_of("2001:db8:1:2:3:4:5:6") == network_of("2001:db8:1:2::1") == "2001:db8:1:2::/64"
    )
    assert network_of("192.0.2.1") == "192.0.2.1"


@pytest.mark.parametrize("network", ["10.0.0.1/8", "10.0.0.0/33", "example.com", "*", ""])
def test_what_is_no_network_is_refused(network: str) -> None:
    with pytest.raises(ValidationError):
        settings.Addresses(allow=(network,))
