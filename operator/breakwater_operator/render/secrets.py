"""Which keys open a server: taken from a Secret of the user, or generated once and kept."""

from collections.abc import Mapping
from dataclasses import dataclass

from breakwater_operator.api.errors import NotReadyError
from breakwater_operator.api.models import McpServer
from breakwater_operator.render.manifest import Live


@dataclass(frozen=True)
class Keys:
    """Who gets in, and with what. Never logged: `repr` shows names only."""

    secret_name: str
    """The Secret that the keys come from."""
    principals: Mapping[str, bytes]
    """The lines of keys by principal."""
    hash_key: bytes
    """Key for `contract.settings.live_hash`; the content of `.hash-key` in the pod."""
    generated: bool
    """Whether the Secret is a child of ours."""
    changed: bool
    """Whether a generated key takes the place of a lost one: an event should say so."""
    wait: NotReadyError | None
    """What keeps clients out, where something does."""


def resolve(
    server: McpServer, source: Live | None, copy: Live | None, seed: bytes, fresh: bytes
) -> Keys:
    """Decide which keys open a server now.

    Args:
        server: The server.
        source: The Secret `key_secret_name(server)` as it is; None where there is none.
        copy: The Secret `<name>-live` as it is; None where there is none.
        seed: The operator's own 32 bytes, from which each server's hash key is derived.
        fresh: 32 new random bytes, for the case that a key has to be generated.
    """
    raise NotImplementedError


def key_secret_name(server: McpServer) -> str:
    """Name the Secret that the keys come from."""
    raise NotImplementedError
