"""Which keys open a server: taken from a Secret of the user, or generated once and kept."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from breakwater_contract.names import API_GROUP, HASH_KEY_FILE
from breakwater_operator.api import names
from breakwater_operator.api.errors import NotReadyError
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.names import GENERATED_KEY
from breakwater_operator.api.reasons import Reason
from breakwater_operator.render.manifest import Live

GENERATED_ANNOTATION = f"{API_GROUP}/generated"
"""On the generated Secret: the SHA-256 of its key, which tells an edited one from ours. It may be
seen: nobody guesses 256 random bits."""

SOURCE_ANNOTATION = f"{API_GROUP}/keys-from"
"""On the Secret `<name>-live`: the Secret that its keys were copied from."""

_STAY_VALID = "the keys it had last stay valid until then"
_NOBODY = "no pod gets ready, and nobody is let in, until then"


@dataclass(frozen=True)
class Keys:
    """Who gets in, and with what. Its text shows names only."""

    secret_name: str
    """The Secret that the keys come from."""
    generated: bool
    """Whether that Secret is a child of ours."""
    principals: Mapping[str, bytes] = field(repr=False)
    """The lines of keys by principal."""
    hash_key: bytes = field(repr=False)
    """Key for `contract.settings.live_hash`; the content of `.hash-key` in the pod."""
    changed: bool = False
    """Whether a generated key takes the place of one that was lost: an event should say so."""
    wait: NotReadyError | None = None
    """What keeps clients out, where something does."""


def key_secret_name(server: McpServer) -> str:
    """Name the Secret that the keys come from."""
    return server.spec.access.keys.secret_name or names.key_secret(server.name)


def resolve(
    server: McpServer,
    source: Live | None,
    copy: Live | None,
    seed: bytes,
    fresh: bytes,
    generated: Live | None = None,
) -> Keys:
    """Decide which keys open a server now.

    Args:
        server: The server.
        source: The Secret `key_secret_name(server)` as it is; None where there is none.
        copy: The Secret `<name>-live` as it is; None where there is none.
        seed: The operator's own 32 bytes, from which each server's hash key is derived.
        fresh: 32 new random bytes, for the case that a key has to be generated.
        generated: The Secret with the generated key, where `source` is another and there is none.
    """
    secret_name = key_secret_name(server)
    hash_key = hmac.new(seed, server.uid.encode(), hashlib.sha256).hexdigest().encode()
    copied = _copied(copy, secret_name)
    if server.spec.access.keys.secret_name is None:
        held = copied.get(GENERATED_KEY)
        key = _generated(source, held, fresh)
        # An edited copy is put right and costs nobody a key; only a new one does.
        changed = held is not None and key == _encoded(fresh)
        return Keys(secret_name, True, {GENERATED_KEY: key}, hash_key, changed)
    if source is None and generated is not None and _counts(server, generated, copy):
        own_name = names.key_secret(server.name)
        key = _generated(generated, _copied(copy, own_name).get(GENERATED_KEY), fresh)
        missing = _missing(
            server, secret_name, f"the generated key of Secret {own_name} stays valid until then"
        )
        return Keys(own_name, True, {GENERATED_KEY: key}, hash_key, wait=missing)
    if source is None:
        missing = _missing(server, secret_name, _STAY_VALID if copied else _NOBODY)
        return Keys(secret_name, False, copied, hash_key, wait=missing)
    found = principals(source)
    empty = None if any(map(key_lines, found.values())) else _empty(server, secret_name)
    return Keys(secret_name, False, found, hash_key, wait=empty)


def _generated(source: Live | None, held: bytes | None, fresh: bytes) -> bytes:
    """Find the key that was generated before, or make one of the fresh bytes."""
    if source is None:
        return _encoded(fresh)
    annotations = source["metadata"].get("annotations") or {}
    expected = annotations.get(GENERATED_ANNOTATION)
    found = principals(source).get(GENERATED_KEY)
    for key in (found, held):
        if key and digest(key) == expected:
            return key
    return held or _encoded(fresh)


def _counts(server: McpServer, generated: Live, copy: Live | None) -> bool:
    """Whether a generated key counts until the Secret that the manifest names is there.

    That may be misspelt. It does not where another Secret was taken over before: of an earlier
    life of the server a generated one may have been retained.
    """
    if copy is not None:
        return copied_from(copy) == names.key_secret(server.name)
    owners = generated["metadata"].get("ownerReferences") or ()
    return any(owner["uid"] == server.uid for owner in owners)


def _encoded(fresh: bytes) -> bytes:
    return base64.urlsafe_b64encode(fresh).rstrip(b"=")


def key_lines(entry: bytes) -> frozenset[bytes]:
    """The lines of an entry that are neither empty nor a comment."""
    lines = (line.strip() for line in entry.splitlines())
    return frozenset(line for line in lines if line and not line.startswith(b"#"))


def digest(key: bytes) -> str:
    """The annotation that belongs to a generated key."""
    return hashlib.sha256(key).hexdigest()


def _copied(copy: Live | None, secret_name: str) -> dict[str, bytes]:
    """What was copied before, if it was copied from the same Secret."""
    return principals(copy) if copy is not None and copied_from(copy) == secret_name else {}


def copied_from(copy: Live | None) -> str | None:
    """Name the Secret that was copied; None where nobody noted it."""
    annotations = (copy or {}).get("metadata", {}).get("annotations") or {}
    source: str | None = annotations.get(SOURCE_ANNOTATION)
    return source


def principals(secret: Live) -> dict[str, bytes]:
    """The entries of a Secret, without hidden ones: those are ours."""
    data = secret.get("data") or {}
    return {key: base64.b64decode(data[key]) for key in sorted(data) if not key.startswith(".")}


def encoded(keys: Keys, files: Mapping[str, bytes]) -> dict[str, str]:
    """The data of the Secret `<name>-live`: keys, and other files whose names begin with a dot."""
    content = {**keys.principals, **files, HASH_KEY_FILE: keys.hash_key}
    return {key: base64.b64encode(value).decode() for key, value in sorted(content.items())}


def _missing(server: McpServer, secret_name: str, until: str) -> NotReadyError:
    return NotReadyError(
        Reason.KEY_SECRET_MISSING,
        f"Secret {server.namespace}/{secret_name} does not exist; create it or remove "
        f"spec.access.keys.secretName ({until})",
    )


def _empty(server: McpServer, secret_name: str) -> NotReadyError:
    return NotReadyError(
        Reason.KEY_SECRET_EMPTY,
        f"Secret {server.namespace}/{secret_name} has no key; add an entry whose name is a "
        f"principal and whose value is a key ({_NOBODY})",
    )
