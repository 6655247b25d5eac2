"""What the pods of one server share: keys that seal session ids, and a certificate of their own.

Both rotate together, in three steps, each of which every pod has taken before the next one comes:
the new generation is known to all, then it is used, and once nothing of the old one can be left,
that is forgotten. So no pod ever meets what it cannot open, or a peer that it does not trust.
"""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, ValidationError, model_validator

from breakwater_contract.model import Model
from breakwater_contract.names import (
    INTERNAL_CA_FILE,
    INTERNAL_CERTIFICATE_FILE,
    INTERNAL_KEY_FILE,
    RING_FILE,
)
from breakwater_contract.ring import KeyId, KeyRing, RingKey, Secret
from breakwater_operator.api.models import McpServer
from breakwater_operator.render import certificate
from breakwater_operator.render.manifest import Live
from breakwater_operator.render.settings import written

STATE_FILE = "state.json"
"""The entry of the Secret that no pod mounts: all generations, and when they came."""

ROTATED_AFTER = timedelta(days=30)
"""The age at which a generation is followed by another; a certificate lasts far longer."""

FORGOTTEN_AFTER = timedelta(hours=25)
"""How long after the change the old keys still open: no session lasts longer than a day."""

FRESH_BYTES = 32

Pem = Annotated[str, Field(repr=False, max_length=16384)]


class Generation(Model):
    """One key, and one certificate with the authority that vouches for it and for nothing else."""

    id: KeyId
    secret: Secret
    authority: Pem
    certificate: Pem
    key: Pem
    made: AwareDatetime
    used_since: AwareDatetime | None = None
    """When it began to seal; None: it does not yet."""


class Ring(Model):
    """All generations, oldest first."""

    generations: Annotated[tuple[Generation, ...], Field(min_length=1, max_length=2)]

    @model_validator(mode="after")
    def _used(self) -> Self:
        if self.generations[0].used_since is None:
            raise ValueError("the oldest generation was never used")
        return self

    @property
    def active(self) -> Generation:
        """The generation that seals."""
        return [each for each in self.generations if each.used_since is not None][-1]

    def files(self) -> dict[str, bytes]:
        """Write what pods mount."""
        keys = tuple(RingKey(id=each.id, secret=each.secret) for each in self.generations)
        authorities = "".join(each.authority for each in self.generations)
        return {
            RING_FILE: written(KeyRing(active=self.active.id, keys=keys)).encode(),
            INTERNAL_CA_FILE: authorities.encode(),
            INTERNAL_CERTIFICATE_FILE: self.active.certificate.encode(),
            INTERNAL_KEY_FILE: self.active.key.encode(),
        }

    def data(self) -> dict[str, str]:
        """Write the data of the Secret."""
        state = self.model_dump_json(by_alias=True, exclude_none=True).encode()
        content = self.files() | {STATE_FILE: state}
        return {name: base64.b64encode(content[name]).decode() for name in sorted(content)}


def read(held: Live | None) -> Ring | None:
    """Read the Secret back; None where it is not there, or says nothing that we wrote."""
    state = ((held or {}).get("data") or {}).get(STATE_FILE)
    try:
        return Ring.model_validate_json(base64.b64decode(state)) if state else None
    except (ValidationError, ValueError):
        return None


def first(server: McpServer, now: datetime, fresh: bytes) -> Ring:
    """Make the first generation of a server, of random bytes; nobody has to know it before."""
    made = _generation(server, now, fresh)
    return Ring(generations=(made.model_copy(update={"used_since": made.made}),))


def advanced(
    ring: Ring, server: McpServer, now: datetime, fresh: bytes, *, is_loaded: bool
) -> Ring:
    """Take the next step of a rotation, if its time has come.

    Args:
        ring: The ring as it is.
        server: Whose it is.
        now: The time.
        fresh: Random bytes, for the case that a new generation is due.
        is_loaded: Whether every pod has loaded the ring as it is.
    """
    *older, newest = ring.generations
    if newest.used_since is None:
        if not is_loaded:
            return ring
        return Ring(generations=(*older, newest.model_copy(update={"used_since": _whole(now)})))
    if older:
        is_over = now - newest.used_since >= FORGOTTEN_AFTER
        return Ring(generations=(newest,)) if is_over and is_loaded else ring
    if now - newest.made < ROTATED_AFTER or not is_loaded:
        return ring
    return Ring(generations=(newest, _generation(server, now, fresh)))


def is_turning(ring: Ring) -> bool:
    """Whether a rotation is under way: what pods say decides about its next step."""
    return len(ring.generations) > 1


def is_due(ring: Ring, now: datetime) -> bool:
    """Whether there is a step to take, now or once pods have taken the last one."""
    return is_turning(ring) or now - ring.generations[-1].made >= ROTATED_AFTER


def _generation(server: McpServer, now: datetime, fresh: bytes) -> Generation:
    made = certificate.make(
        server.uid, _whole(now), _part(fresh, b"authority"), _part(fresh, b"certificate")
    )
    return Generation(
        id=_part(fresh, b"id").hex()[:8],
        secret=base64.urlsafe_b64encode(_part(fresh, b"secret")).rstrip(b"=").decode(),
        authority=made.authority,
        certificate=made.certificate,
        key=made.key,
        made=_whole(now),
    )


def _part(fresh: bytes, use: bytes) -> bytes:
    return hmac.new(fresh, use, hashlib.sha256).digest()


def _whole(now: datetime) -> datetime:
    return now.replace(microsecond=0)
