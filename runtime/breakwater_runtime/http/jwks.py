"""Public keys of an issuer, as a JSON Web Key Set says them."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import jwt
import orjson

KEYS_MAX = 64
RSA_BITS_MIN = 2048

ALGORITHMS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("RSA", ""): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""What a key of a kind and curve can verify. Keys of other kinds, secrets among them, are passed
over: an issuer may publish what is not for us."""


class KeySet:
    """The keys, found by what a token's header says of its own."""

    def __init__(self, keys: Mapping[tuple[str, str], jwt.PyJWK] | None = None) -> None:
        """Hold keys by id and algorithm."""
        self._keys = dict(keys or {})

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """Get the key that a token names; one that names none means the only key there is."""
        if kid is not None:
            return self._keys.get((kid, algorithm))
        fitting = [key for (_, of), key in self._keys.items() if of == algorithm]
        return fitting[0] if len(fitting) == 1 else None


def parse(content: bytes) -> KeySet:
    """Read a key set.

    Raises:
        ValueError: It is none, or no key in it can verify anything.
    """
    try:
        listed = list(orjson.loads(content)["keys"])
    except (orjson.JSONDecodeError, LookupError, TypeError) as error:
        raise ValueError('not JSON with a list "keys"; accepted: a JSON Web Key Set') from error
    keys: dict[tuple[str, str], jwt.PyJWK] = {}
    for number, key in enumerate(listed[:KEYS_MAX]):
        with contextlib.suppress(TypeError, AttributeError):  # one that is no key hides no other
            # A key without an id can be meant only by tokens without one.
            kid = key["kid"] if isinstance(key.get("kid"), str) else f"\0{number}"
            for algorithm, usable in _usable(key):
                keys.setdefault((kid, algorithm), usable)
    if not keys:
        raise ValueError("no public key in it that verifies signatures (RSA, EC, Ed25519)")
    return KeySet(keys)


def _usable(key: dict[str, Any]) -> Iterator[tuple[str, jwt.PyJWK]]:
    """Make what a key is good for, by algorithm; nothing where it is not for us."""
    operations = key.get("key_ops")
    if key.get("use", "sig") != "sig" or (operations and "verify" not in operations):
        return
    kind, curve = key.get("kty"), key.get("crv", "")
    for algorithm in ALGORITHMS.get((str(kind), str(curve)), ()):
        if key.get("alg", algorithm) != algorithm:
            continue
        public = {name: value for name, value in key.items() if name != "d"}
        try:
            made = jwt.PyJWK(public, algorithm)
        except (jwt.PyJWTError, ValueError, TypeError):
            return
        if getattr(made.key, "key_size", RSA_BITS_MIN) < RSA_BITS_MIN and kind == "RSA":
            return
        yield algorithm, made
