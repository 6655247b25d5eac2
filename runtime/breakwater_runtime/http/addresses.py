"""Where requests come from, as far as the proxies in front can be believed, and who may not."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

from breakwater_contract import access as settings
from breakwater_runtime.calls import Problem, Refused, Request
from breakwater_runtime.observability.audit import Audit, Event

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HOPS_MAX = 32
REMEMBERED_MAX = 4096
"""Addresses about which it is remembered what they may."""


class Addresses:
    """One state of the rules about addresses."""

    def __init__(self, rules: settings.Addresses | None = None) -> None:
        """Compile the rules."""
        rules = rules or settings.Addresses()
        self._allow = _networks(rules.allow)
        self._deny = _networks(rules.deny)
        self._proxies = _networks(rules.trusted_proxies)
        self._header = rules.forwarded.lower().encode()
        self.trusts = lru_cache(REMEMBERED_MAX)(self._trusts)
        self.allows = lru_cache(REMEMBERED_MAX)(self._allows)

    def of(self, scope: Scope) -> str:
        """Say where a request comes from.

        A trusted proxy is believed about who was in front of it, from the last to the first, until
        one is not trusted: whoever that is could have written the rest himself.
        """
        client = scope["client"]
        address: str = client[0] if client else ""
        if not self._proxies or not self.trusts(address):
            return address
        for hop in reversed(self._hops(scope)[-HOPS_MAX:]):
            if _parse(hop) is None:
                break
            address = hop
            if not self.trusts(address):
                break
        return address

    def is_secure(self, scope: Scope) -> bool:
        """Say whether a request was encrypted, here or up to the proxy in front of us."""
        if scope["scheme"] == "https":
            return True
        client = scope["client"]
        if not self._proxies or not client or not self.trusts(client[0]):
            return False
        if self._header == b"forwarded":
            parts = _last(scope, self._header).lower().split(";")
            return "proto=https" in [part.strip().replace('"', "") for part in parts]
        return _last(scope, b"x-forwarded-proto").lower() == "https"

    def _hops(self, scope: Scope) -> list[str]:
        entries = _entries(scope, self._header)
        if self._header == b"forwarded":
            return [_without_port(_for(entry)) for entry in entries]
        return [_without_port(entry) for entry in entries]

    def _trusts(self, address: str) -> bool:
        return _in(_parse(address), self._proxies)

    def _allows(self, address: str) -> bool:
        if not self._allow and not self._deny:
            return True
        parsed = _parse(address)
        if parsed is None or _in(parsed, self._deny):
            return False
        return not self._allow or _in(parsed, self._allow)


class ClientAddress:
    """Notes where each request comes from, and refuses those from where none may."""

    def __init__(self, *, rules: Callable[[], Addresses], audit: Audit) -> None:
        """Go by the rules of the moment."""
        self._rules = rules
        self._audit = audit

    def __call__(self, scope: Scope, request: Request) -> None:
        """Note the request's address."""
        rules = self._rules()
        request.address = rules.of(scope)
        request.secure = rules.is_secure(scope)
        if not rules.allows(request.address):
            self._audit.record(Event.ADDRESS_REFUSED, address=request.address)
            raise Refused(Problem.ADDRESS_NOT_ALLOWED)


def network_of(address: str) -> str:
    """Name what one caller has at least: an IPv4 address, or 64 bits of IPv6."""
    parsed = _parse(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((parsed, 64), strict=False))
    return address


def _networks(written: Iterable[str]) -> tuple[Network, ...]:
    return tuple(ip_network(each) for each in written)


def _in(address: Address | None, networks: Iterable[Network]) -> bool:
    return address is not None and any(address in network for network in networks)


def _parse(text: str) -> Address | None:
    """Read an address; an IPv4 one that is written as IPv6 is the IPv4 one."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _entries(scope: Scope, header: bytes) -> list[str]:
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == header]
    return [entry.strip() for entry in ",".join(lines).split(",")] if lines else []


def _last(scope: Scope, header: bytes) -> str:
    return (_entries(scope, header) or [""])[-1]


def _for(entry: str) -> str:
    """Get the `for` of one hop (RFC 7239)."""
    for pair in entry.split(";"):
        name, _, value = pair.strip().partition("=")
        if name.lower() == "for":
            return value.strip().strip('"')
    return ""


def _without_port(entry: str) -> str:
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
