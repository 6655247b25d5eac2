"""The operator's signing key, and the tokens by which servers know it."""

from collections.abc import Callable, Sequence
from hashlib import sha256

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from breakwater_contract.names import (
    OPERATOR_ISSUER,
    OPERATOR_PRINCIPAL,
    OPERATOR_SCOPES,
    OPERATOR_SIGNATURE,
    OPERATOR_TOKEN_SECONDS,
)
from breakwater_contract.settings import OperatorKey


class SigningKey:
    """An Ed25519 key pair: one half signs tokens for servers, the other verifies them."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        """Wrap a private key.

        Args:
            private: The private half.
        """
        self._private = private
        public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        kid = sha256(public).hexdigest()[:16]
        self.public = OperatorKey(kid=kid, public_key=public.decode())
        """The public half, as servers are told of it."""

    @classmethod
    def read(cls, pem: bytes) -> "SigningKey":
        """Read a private key.

        Raises:
            ValueError: It is no Ed25519 key in PEM.
        """
        private = load_pem_private_key(pem, password=None)
        if not isinstance(private, Ed25519PrivateKey):
            found = type(private).__name__
            raise ValueError(f"found a {found}, accepted is an Ed25519 key")  # noqa: TRY004 - bad content
        return cls(private)

    @staticmethod
    def fresh() -> bytes:
        """Make a new private key, as PEM."""
        return Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )

    def token(self, audience: str, now: Callable[[], float]) -> str:
        """Sign a token that one server accepts, for about a minute.

        Args:
            audience: The uid of the server.
            now: Seconds since 1970.
        """
        issued = int(now())
        claims = {
            "iss": OPERATOR_ISSUER,
            "sub": OPERATOR_PRINCIPAL,
            "aud": audience,
            "scope": " ".join(OPERATOR_SCOPES),
            "iat": issued,
            "exp": issued + OPERATOR_TOKEN_SECONDS,
        }
        return jwt.encode(
            claims, self._private, OPERATOR_SIGNATURE, headers={"kid": self.public.kid}
        )


def best(keys: Sequence[SigningKey], known: Sequence[str]) -> SigningKey:
    """Choose the key to ask a pod with: the newest that it has said it knows.

    One that has said nothing yet knows the oldest: it stays published until all know its successor.

    Args:
        keys: The operator's, oldest first.
        known: Ids of keys, as the pod told them.
    """
    return next((key for key in reversed(keys) if key.public.kid in known), keys[0])
