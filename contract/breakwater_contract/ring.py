"""The key ring that the pods of one server share: what one sealed, every other can open."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from breakwater_contract.model import Model

RING_VERSION: Literal[1] = 1

SECRET_BYTES = 32

KeyId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,16}$")]
Secret = Annotated[
    # 32 bytes in base64url without padding.
    str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$"), Field(repr=False)
]


class RingKey(Model):
    """One key of the ring."""

    id: KeyId
    """What sealed things call it by."""
    secret: Secret
    """32 random bytes as base64url without padding; a key for each purpose is derived from it."""


class KeyRing(Model):
    """Every key that opens, and the one that seals."""

    version: Literal[1] = RING_VERSION
    """The version of this file."""
    active: KeyId
    """The key that seals. Another one takes its place only once every pod can open with it."""
    keys: Annotated[tuple[RingKey, ...], Field(min_length=1, max_length=8)]
    """All keys that open."""

    @model_validator(mode="after")
    def _consistent(self) -> "KeyRing":
        ids = [key.id for key in self.keys]
        if len(set(ids)) != len(ids):
            raise ValueError(f"keys: an id stands there twice: {', '.join(sorted(ids))}")
        if self.active not in ids:
            raise ValueError(f"active is {self.active}, accepted: {', '.join(ids)}")
        return self
