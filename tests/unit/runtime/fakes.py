"""What stands for the world around the runtime: backend, clock, operator."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from breakwater_contract.settings import OperatorKey

ALICE = "alice-key-0123456789"
EXPIRED = "expired-key-0123456789"
UID = "6f1a8f3e-server-uid"


@dataclass
class FakeBackend:
    """Answers everything, and remembers what it was asked."""

    name: str = "main"
    fault: str | None = None
    bodies: list[bytes] = field(default_factory=list)
    failure: Exception | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        yield

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.failure:
            raise self.failure
        self.bodies.append(await Request(scope, receive).body())
        await JSONResponse({"jsonrpc": "2.0", "id": 1, "result": {}})(scope, receive, send)

    def end_streams(self) -> None:
        """Have no streams."""


@dataclass
class FakeClock:
    """Time that stands still until a test moves it."""

    time: datetime = datetime(2026, 11, 21, 9, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def elapsed(self) -> float:
        return self.time.timestamp()

    def advance(self, **by: float) -> None:
        self.time += timedelta(**by)


@dataclass
class Operator:
    """The operator's half of its key, and how it signs."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    kid: str = "one"

    @property
    def public(self) -> OperatorKey:
        pem = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return OperatorKey(kid=self.kid, public_key=pem.decode())

    def token(self, **changes: object) -> str:
        now = int(datetime.now(UTC).timestamp())  # noqa: TID251 - pyjwt reads the real clock
        claims = {
            "iss": "breakwater-operator",
            "sub": "breakwater:operator",
            "aud": UID,
            "scope": "server.discover tools.list",
            "iat": now,
            "exp": now + 60,
        }
        merged = {name: value for name, value in (claims | changes).items() if value is not None}
        return jwt.encode(merged, self.key, algorithm="EdDSA", headers={"kid": self.kid})
