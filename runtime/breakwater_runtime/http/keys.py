"""The keys: which principal has which, and until when."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from breakwater_contract.names import PRINCIPAL, UNAUTHENTICATED_PRINCIPAL
from breakwater_runtime.calls import Principal

HASHED = "sha256:"
EXPIRES = "expires="
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_PLAIN = re.compile(r"[\x21-\x7e]{1,1024}")
"""What can stand in a header: visible ASCII without spaces."""

ACCEPTED = "accepted: `<key>` or `sha256:<64 hex digits>`, then nothing or ` expires=<RFC 3339>`"


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a principal, known by its digest only."""

    principal: Principal
    expires: datetime | None

    def expired(self, now: datetime) -> bool:
        """Say whether it was good once and is no more."""
        return self.expires is not None and now >= self.expires


class Keyring:
    """All keys, found by the digest of what a caller presents.

    A look-up by digest is constant-time where it matters: how long it takes says something about
    the digest of a guess, from which nothing leads to a key.
    """

    def __init__(self, keys: Mapping[bytes, Key] | None = None) -> None:
        """Hold keys by SHA-256 digest."""
        self._keys = dict(keys or {})

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, presented: bytes) -> Key | None:
        """Get the key that somebody presents; it may have expired."""
        return self.at(hashlib.sha256(presented).digest())

    def opens(self, presented: bytes, now: datetime) -> bool:
        """Say whether somebody presents a key that is good at this moment."""
        key = self.find(presented)
        return key is not None and not key.expired(now)

    def at(self, digest: bytes) -> Key | None:
        """Get the key with a SHA-256 digest."""
        return self._keys.get(digest)


def parse(files: Mapping[str, bytes]) -> tuple[Keyring, list[str]]:
    """Read key files: one per principal, one key per line, `#` begins a comment line.

    Returns:
        The keys, and every fault as principal, line and what is accepted; never what stands there.
    """
    keys: dict[bytes, Key] = {}
    faults: list[str] = []
    for name in sorted(files):
        if not re.fullmatch(PRINCIPAL, name):
            faults.append(f"{name!r}: not a name for a principal; accepted: {PRINCIPAL}")
            continue
        if name == UNAUTHENTICATED_PRINCIPAL:
            faults.append(f"{name}: stands for callers without a credential; use another name")
            continue
        for number, line in _lines(files[name]):
            try:
                digest, expires = _key(line)
            except ValueError as error:
                faults.append(f"{name}: line {number}: {error}")
                continue
            if digest in keys:
                other = keys[digest].principal.name
                faults.append(f"{name}: line {number}: the key stands under {other} already")
            keys.setdefault(digest, Key(Principal(name), expires))
    return Keyring(keys), faults


def _lines(content: bytes) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
        text = line.strip()
        if text and not text.startswith("#"):
            yield number, text


def _key(line: str) -> tuple[bytes, datetime | None]:
    """Read one line.

    Raises:
        ValueError: It is not a key; the message does not repeat it.
    """
    key, *options = line.split()
    if len(options) > 1 or (options and not options[0].startswith(EXPIRES)):
        raise ValueError(f"not one key; {ACCEPTED}")
    expires = _time(options[0].removeprefix(EXPIRES)) if options else None
    if key.startswith(HASHED):
        digest = key.removeprefix(HASHED)
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"not the digest of a key; {ACCEPTED}")
        return bytes.fromhex(digest), expires
    if not _PLAIN.fullmatch(key):
        raise ValueError("not a key: visible ASCII characters only, 1024 at most")
    return hashlib.sha256(key.encode()).digest(), expires


def _time(text: str) -> datetime:
    """Read an RFC 3339 time.

    Raises:
        ValueError: It is none, or it has no offset from UTC.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{EXPIRES}{text}: not a time like 2027-01-31T00:00:00Z") from error
    if time.tzinfo is None:
        raise ValueError(f"{EXPIRES}{text}: without an offset; write Z for UTC")
    return time.astimezone(UTC)
