"""What the files of the live settings say, before it is understood."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from breakwater_contract.access import ServiceAccounts
from breakwater_contract.names import HASH_KEY_FILE
from breakwater_contract.settings import LiveSettings, RuntimeSettings, live_files, live_hash
from breakwater_contract.shared_rates import SharedRates
from breakwater_runtime.settings import NOTHING_GIVEN, Given, KeySource, SettingsError, parse
from breakwater_runtime.shared import SharedFiles


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

    rates_password: bytes | None = None
    """The password of the store of shared rates."""
    rates_authorities: bytes | None = None
    """Certificates by which that store's may be signed."""
    otlp_headers: bytes = b""
    """Lines of headers for the collector."""
    otlp_authorities: bytes | None = None
    """Certificates by which the collector's may be signed."""

    @property
    def files(self) -> Mapping[str, bytes]:
        """Every file that the live hash covers besides the settings."""
        return live_files(self.key_files, self.shared.content if self.shared else {})

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
