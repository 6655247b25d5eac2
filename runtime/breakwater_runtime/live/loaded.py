"""Live settings that were understood."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from breakwater_contract.access import Access
from breakwater_contract.gateway import Tools
from breakwater_contract.limits import Limits
from breakwater_contract.monitoring import Monitoring
from breakwater_contract.settings import EndpointName
from breakwater_runtime.http import jwks, keys
from breakwater_runtime.http.addresses import Addresses
from breakwater_runtime.http.jwks import KeySet
from breakwater_runtime.http.keys import Keyring
from breakwater_runtime.http.limits import WireLimits
from breakwater_runtime.http.shared_buckets import Target as RateTarget
from breakwater_runtime.live.content import Content
from breakwater_runtime.management import operator
from breakwater_runtime.management.operator import OperatorKeys
from breakwater_runtime.observability import telemetry
from breakwater_runtime.observability.options import Options
from breakwater_runtime.observability.telemetry import Target
from breakwater_runtime.protocol.sessions import SessionLimits
from breakwater_runtime.sealing import Ring
from breakwater_runtime.settings import SettingsError
from breakwater_runtime.shared import Shared
from breakwater_runtime.shared import understand as understand_shared
from breakwater_runtime.tools.policy import Policies

ADMIN_PRINCIPAL = "admin"
"""What messages call the holder of an admin key."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """One state of the live settings, understood."""

    keyring: Keyring
    operator_keys: OperatorKeys
    hash: str
    access: Access = field(default_factory=Access)
    origins: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)
    wire: WireLimits = field(default_factory=lambda: WireLimits.of(Limits()))
    peer_wire: WireLimits = field(default_factory=lambda: WireLimits.of(Limits()))
    """For connections of peers, behind each of which many clients stand."""
    gives_sessions: bool = True
    session_limits: SessionLimits = field(default_factory=SessionLimits)
    shared: Shared = field(default_factory=lambda: Shared(Ring.fresh()))
    endpoints: frozenset[EndpointName] = frozenset()
    service_account_keys: KeySet | None = None
    policies: Policies = field(default_factory=Policies)
    tools: Mapping[str, Tools] = field(default_factory=dict)
    """What is shown of the tools of each backend."""
    addresses: Addresses = field(default_factory=Addresses)
    admin_keyring: Keyring = field(default_factory=Keyring)
    monitoring: Monitoring = field(default_factory=Monitoring)
    options: Options = field(default_factory=Options)
    collector: Target | None = None
    rates: RateTarget | None = None


NOTHING = Loaded(Keyring(), {}, "")


def understand(content: Content, alone: Shared) -> Loaded:
    """Make sense of what the files say.

    Args:
        content: The files.
        alone: What to use where nothing is shared with other processes.

    Raises:
        SettingsError: Any part of it has a fault.
    """
    keyring, key_faults = keys.parse(content.key_files)
    operator_keys, operator_faults = operator.parse(content.settings.operator_keys)
    service_account_keys, jwks_faults = _service_account_keys(content)
    admin_keyring, admin_faults = keys.parse({ADMIN_PRINCIPAL: content.admin_keys})
    faults = [f"{content.keys_from}/{fault}" for fault in key_faults]
    faults += [f"adminKeyFile: {fault}" for fault in admin_faults]
    collector, otlp_faults = _collector(content)
    rates, rates_faults = _rates(content)
    faults += operator_faults + jwks_faults + otlp_faults + rates_faults
    if faults:
        raise SettingsError(faults)
    access = content.settings.access
    addresses = Addresses(access.addresses)
    return Loaded(
        keyring,
        operator_keys,
        content.hash(),
        access,
        admin_keyring=admin_keyring,
        origins=frozenset(access.origins),
        hosts=frozenset(access.hosts),
        limits=content.settings.limits,
        wire=WireLimits.of(content.settings.limits, addresses.trusts),
        peer_wire=WireLimits.of(content.settings.limits, lambda _: True),
        gives_sessions=content.settings.sessions == "Auto",
        session_limits=SessionLimits.of(content.settings.limits.sessions),
        shared=alone if content.shared is None else understand_shared(content.shared),
        endpoints=frozenset(content.settings.endpoints),
        monitoring=content.settings.monitoring,
        options=Options.of(content.settings.monitoring),
        collector=collector,
        rates=rates,
        service_account_keys=service_account_keys,
        policies=Policies(access.policies),
        tools={each.backend: each for each in content.settings.tools},
        addresses=addresses,
    )


def _service_account_keys(content: Content) -> tuple[KeySet | None, list[str]]:
    accounts = content.settings.access.service_accounts
    if accounts is None or content.service_account_keys is None:
        return None, []
    try:
        return jwks.parse(content.service_account_keys), []
    except ValueError as error:
        return None, [f"{accounts.jwks_file or 'access.serviceAccounts.jwks'}: {error}"]


def _collector(content: Content) -> tuple[Target | None, list[str]]:
    """Say where telemetry goes, with what stands in files."""
    otlp = content.settings.otlp
    if otlp is None:
        return None, []
    headers, faults = telemetry.parse_headers(content.otlp_headers)
    faults = [f"{otlp.headers_file}: {fault}" for fault in faults]
    if content.otlp_authorities is not None and not _are_certificates(content.otlp_authorities):
        faults.append(f"{otlp.ca_file}: no certificates; accepted: certificates as PEM")
    return Target(otlp, {**otlp.headers, **headers}, content.otlp_authorities), faults


def _rates(content: Content) -> tuple[RateTarget | None, list[str]]:
    """Say where rates are shared, with what stands in files."""
    settings = content.settings.shared_rates
    if settings is None:
        return None, []
    faults = []
    if content.rates_password is not None and not _is_text(content.rates_password):
        faults.append(f"{settings.password_file}: not a password; accepted: text, in UTF-8")
    if content.rates_authorities is not None and not _are_certificates(content.rates_authorities):
        where = settings.tls.ca_file if settings.tls is not None else ""
        faults.append(f"{where}: no certificates; accepted: certificates as PEM")
    return RateTarget(settings, content.rates_password, content.rates_authorities), faults


def _is_text(content: bytes) -> bool:
    try:
        return bool(content.decode())
    except ValueError:
        return False


def _are_certificates(content: bytes) -> bool:
    try:
        ssl.create_default_context(cadata=content.decode())
    except (ssl.SSLError, ValueError):
        return False
    return True
