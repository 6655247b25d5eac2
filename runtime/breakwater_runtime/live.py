"""Live settings: read from files, taken over whole, watched; the last good ones stay."""

import asyncio
import hashlib
import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import Counter

from breakwater_contract.access import Access, ServiceAccounts
from breakwater_contract.gateway import Tools
from breakwater_contract.limits import Limits
from breakwater_contract.monitoring import Monitoring
from breakwater_contract.names import HASH_KEY_FILE
from breakwater_contract.settings import (
    EndpointName,
    LiveSettings,
    RuntimeSettings,
    live_files,
    live_hash,
)
from breakwater_contract.shared_rates import SharedRates
from breakwater_runtime.http import jwks, keys
from breakwater_runtime.http.addresses import Addresses
from breakwater_runtime.http.jwks import KeySet
from breakwater_runtime.http.keys import Keyring
from breakwater_runtime.http.limits import WireLimits
from breakwater_runtime.http.shared_buckets import Target as RateTarget
from breakwater_runtime.management import operator
from breakwater_runtime.management.operator import OperatorKeys
from breakwater_runtime.observability import telemetry
from breakwater_runtime.observability.options import Options
from breakwater_runtime.observability.telemetry import Target
from breakwater_runtime.protocol.sessions import SessionLimits
from breakwater_runtime.sealing import Ring
from breakwater_runtime.settings import (
    NOTHING_GIVEN,
    Given,
    KeySource,
    SettingsError,
    parse,
)
from breakwater_runtime.shared import Shared, SharedFiles
from breakwater_runtime.shared import understand as understand_shared
from breakwater_runtime.tools.policy import Policies

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""How often the files are read again. They are small, and kubelet swaps them without an event that
would reach every mount."""

ADMIN_PRINCIPAL = "admin"
"""What messages call the holder of an admin key."""


@dataclass(frozen=True, slots=True)
class Content:
    """What the files say, before it is understood."""

    live: bytes
    settings: LiveSettings
    key_files: Mapping[str, bytes]
    hash_key: bytes | None
    service_account_keys: bytes | None = None
    keys_from: str = ""
    """Where the keys stand, as messages name it."""
    admin_keys: bytes = b""
    """Lines of keys that show the details of health."""
    parsed: LiveSettings = field(default_factory=LiveSettings)
    """The settings before their paths were made absolute."""
    shared: SharedFiles | None = None
    """What the processes of one server share; None: nothing."""

    @property
    def files(self) -> Mapping[str, bytes]:
        """Every file that the live hash covers besides the settings."""
        return live_files(self.key_files, self.shared.content if self.shared else {})

    rates_password: bytes | None = None
    """The password of the store of shared rates."""
    rates_authorities: bytes | None = None
    """Certificates by which that store's may be signed."""
    otlp_headers: bytes = b""
    """Lines of headers for the collector."""
    otlp_authorities: bytes | None = None
    """Certificates by which the collector's may be signed."""

    def digest(self) -> bytes:
        """Name this content, to see whether it changed without keeping keys in memory."""
        digest = hashlib.sha256(self.live)
        files = self.files
        for name in sorted(files):
            digest.update(hashlib.sha256(name.encode()).digest())
            digest.update(hashlib.sha256(files[name]).digest())
        digest.update(hashlib.sha256(self.service_account_keys or b"").digest())
        digest.update(hashlib.sha256(self.admin_keys).digest())
        digest.update(hashlib.sha256(self.otlp_headers).digest())
        digest.update(hashlib.sha256(self.otlp_authorities or b"").digest())
        for secret in (self.rates_password, self.rates_authorities):
            digest.update(hashlib.sha256(secret or b"").digest())
        digest.update(self.hash_key or b"")
        return digest.digest()

    def hash(self) -> str:
        """Name it as the operator does; empty where there is no operator."""
        return live_hash(self.hash_key, self.live, self.files) if self.hash_key else ""


Known = tuple[bytes, LiveSettings]
"""Live settings as they were written, and as they were read."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the live settings stand."""

    directory: Path
    """The settings file's folder; relative paths start there."""
    inline: LiveSettings | None
    """The settings themselves, where the settings file holds them."""
    file: str = ""
    """Else the name of their file."""
    given: Given = NOTHING_GIVEN
    """Keys that the settings do not name."""
    shared: Path | None = None
    """The folder that the processes of one server share."""

    @classmethod
    def of(cls, settings: RuntimeSettings, path: Path, given: Given = NOTHING_GIVEN) -> "Source":
        """Find it in the settings that were read from `path`."""
        internal = settings.internal
        shared = None if internal is None else path.parent / internal.directory
        return cls(path.parent, settings.live, settings.live_file or "", given, shared)

    def read(self, known: Known | None = None) -> Content:
        """Read everything anew.

        Args:
            known: What the live settings said before. While they say the same they are not parsed
                again: ten thousand policies take half a second.

        Raises:
            SettingsError: Something cannot be read, or the live settings have faults.
        """
        try:
            live, settings = self._settings(known)
            files = {} if settings.keys_directory is None else self._keys(settings.keys_directory)
            accounts = settings.access.service_accounts
            accounts_jwks = self._jwks(accounts) if accounts else None
            admin_keys = self._admin_keys(settings)
            otlp = settings.otlp
            otlp_headers = self._bytes(otlp.headers_file) if otlp and otlp.headers_file else b""
            otlp_authorities = self._bytes(otlp.ca_file) if otlp and otlp.ca_file else None
            rates_password, rates_authorities = self._of_rates(settings.shared_rates)
            given = [(source.name, self._given(source)) for source in self.given.keys]
            shared = None if self.shared is None else SharedFiles.read(self.shared)
        except OSError as error:
            raise SettingsError([f"{error.filename}: cannot be read: {error.strerror}"]) from error
        hash_key = files.pop(HASH_KEY_FILE, None)
        for _, more in given:
            for principal, lines in more.items():
                files[principal] = b"\n".join(filter(None, (files.get(principal), lines)))
        named = [settings.keys_directory, *(name for name, _ in given)]
        return Content(
            live,
            self._resolved(settings),
            files,
            hash_key,
            accounts_jwks,
            keys_from=", ".join(filter(None, named)),
            admin_keys=admin_keys,
            parsed=settings,
            shared=shared,
            otlp_headers=otlp_headers,
            otlp_authorities=otlp_authorities,
            rates_password=rates_password,
            rates_authorities=rates_authorities,
        )

    def _of_rates(self, rates: SharedRates | None) -> tuple[bytes | None, bytes | None]:
        """Read what the store of shared rates needs: its password, its authorities."""
        if rates is None:
            return None, None
        ca_file = rates.tls.ca_file if rates.tls is not None else None
        return (
            self._bytes(rates.password_file).rstrip(b"\r\n") if rates.password_file else None,
            self._bytes(ca_file) if ca_file else None,
        )

    def _given(self, source: KeySource) -> Mapping[str, bytes]:
        try:
            return source.read()
        except ValueError as error:
            raise SettingsError([f"{source.name}: {error}"]) from error

    def _admin_keys(self, settings: LiveSettings) -> bytes:
        file = settings.admin_key_file
        found = [self.given.admin_key, self._bytes(file) if file is not None else None]
        return b"\n".join(filter(None, found))

    def _resolved(self, settings: LiveSettings) -> LiveSettings:
        """Make paths absolute that are used later than now."""
        jwt = settings.access.jwt
        if jwt is None or jwt.ca_file is None:
            return settings
        jwt = jwt.model_copy(update={"ca_file": str(self.directory / jwt.ca_file)})
        access = settings.access.model_copy(update={"jwt": jwt})
        return settings.model_copy(update={"access": access})

    def _settings(self, known: Known | None) -> Known:
        if self.inline is not None:
            if known is not None and known[1] is self.inline:
                return known
            return self.inline.model_dump_json(by_alias=True).encode(), self.inline
        path = self.directory / self.file
        live = path.read_bytes()
        if known is not None and known[0] == live:
            return known
        return live, parse(LiveSettings, live, path.name)

    def _jwks(self, accounts: ServiceAccounts) -> bytes:
        if accounts.jwks_file is None:
            return (accounts.jwks or "").encode()
        return self._bytes(accounts.jwks_file)

    def _bytes(self, file: str) -> bytes:
        return (self.directory / file).read_bytes()

    def _keys(self, directory: str) -> dict[str, bytes]:
        files = {}
        for path in (self.directory / directory).iterdir():
            if path.name.startswith(".") and path.name != HASH_KEY_FILE:
                continue
            try:
                files[path.name] = path.read_bytes()
            except FileNotFoundError:  # swapped away since it was listed
                continue
        return files


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


class Live:
    """The live settings of the moment."""

    def __init__(self, source: Source, *, reloads: Counter) -> None:
        """Nothing is loaded yet: nobody may do anything."""
        self._source = source
        self._reloads = reloads
        self._seen: bytes | None = None
        self._known: Known | None = None
        self._alone = Shared(Ring.fresh())
        self.loaded = NOTHING
        self.faults: tuple[str, ...] = ()
        self._takers: list[Callable[[Loaded], None]] = []

    def when_loaded(self, take: Callable[[Loaded], None]) -> None:
        """Have `take` called with what is loaded, now and each time that something else is."""
        self._takers.append(take)
        take(self.loaded)

    @property
    def fault(self) -> str | None:
        """Why the newest state was not taken over; None: it was."""
        return "; ".join(self.faults) or None

    @property
    def key_fault(self) -> str | None:
        """Why nobody can be let in; None: somebody can."""
        access = self.loaded.access
        others = access.jwt or access.service_accounts or access.insecure_anonymous
        if len(self.loaded.keyring) or others:
            return None
        return "there is no key yet"

    def load(self) -> None:
        """Read the files, and take over what they say unless something is wrong with it."""
        try:
            content = self._source.read(self._known)
        except SettingsError as error:
            self._seen = None
            self._refuse(error.faults)
            return
        self._known = (content.live, content.parsed)
        if content.digest() == self._seen:
            return
        self._seen = content.digest()
        try:
            loaded = understand(content, self._alone)
        except SettingsError as error:
            self._refuse(error.faults)
            return
        self.loaded, self.faults = loaded, ()
        self._reloads.labels("loaded").inc()
        for take in self._takers:
            take(loaded)
        if loaded.access.insecure_anonymous:
            logger.warning("access.insecureAnonymous: anybody may use this server")
        logger.info(
            "live settings loaded", extra={"live": loaded.hash, "keys": len(loaded.keyring)}
        )

    def _refuse(self, faults: tuple[str, ...]) -> None:
        if faults == self.faults:
            return
        self.faults = faults
        self._reloads.labels("refused").inc()
        logger.error("live settings refused, the last good ones stay", extra={"faults": faults})

    async def watch(self, interval_seconds: float = POLL_SECONDS) -> None:
        """Load again whenever the files change, for ever."""
        while True:
            await asyncio.sleep(interval_seconds)
            await asyncio.to_thread(self.load)
