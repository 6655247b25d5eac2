"""Sealing: what leaves this process and comes back, or goes to another pod, unread and unchanged.

Every purpose has a key of its own, derived from the ring's (HKDF), so that what was sealed for one
never opens as another.
"""

import base64
import binascii
import os
from collections.abc import Callable
from enum import Enum
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from breakwater_contract.ring import SECRET_BYTES, KeyRing, RingKey

FORMAT = b"\x01"
NONCE_BYTES = 12
"""Random: a key seals some thousands of things a second at most for a month, far from the 2^32 at
which two of them might have one nonce."""
TAG_BYTES = 16


class Purpose(Enum):
    """What something is sealed for."""

    SESSION = b"breakwater session id"
    CALLER = b"breakwater forwarded caller"
    STATE = b"breakwater request state"


class SealError(Exception):
    """What was to be opened was not sealed by a key of ours for this purpose."""


class Ring:
    """The keys of the moment."""

    def __init__(self, keys: KeyRing, entropy: Callable[[int], bytes] = os.urandom) -> None:
        """Seal with the active one, open with all."""
        self._active = keys.active.encode()
        self._entropy = entropy
        self._ciphers = {
            (key.id.encode(), purpose): AESGCM(_derived(key.secret, purpose))
            for key in keys.keys
            for purpose in Purpose
        }

    @classmethod
    def fresh(cls) -> Self:
        """Make one that no other process knows."""
        secret = base64.urlsafe_b64encode(os.urandom(SECRET_BYTES)).rstrip(b"=").decode()
        return cls(KeyRing(active="own", keys=(RingKey(id="own", secret=secret),)))

    def seal(self, purpose: Purpose, content: bytes) -> str:
        """Make a text of URL-safe characters that only holders of the ring can read or make."""
        key_id, nonce = self._active, self._entropy(NONCE_BYTES)
        head = b"%b%c%b" % (FORMAT, len(key_id), key_id)
        sealed = self._ciphers[key_id, purpose].encrypt(nonce, content, head)
        return base64.urlsafe_b64encode(head + nonce + sealed).rstrip(b"=").decode()

    def open(self, purpose: Purpose, sealed: str) -> bytes:
        """Get what was sealed.

        Raises:
            SealError: It was not, or not for this purpose, or its key is gone.
        """
        try:
            raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), b"-_", validate=True)
        except (ValueError, binascii.Error) as error:
            raise SealError from error
        if len(raw) < 2 or raw[:1] != FORMAT:
            raise SealError
        end = 2 + raw[1]
        cipher = self._ciphers.get((raw[2:end], purpose))
        if cipher is None or len(raw) < end + NONCE_BYTES + TAG_BYTES:
            raise SealError
        try:
            return cipher.decrypt(raw[end : end + NONCE_BYTES], raw[end + NONCE_BYTES :], raw[:end])
        except InvalidTag as error:
            raise SealError from error


def _derived(secret: str, purpose: Purpose) -> bytes:
    material = base64.urlsafe_b64decode(f"{secret}=")
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.value).derive(material)
