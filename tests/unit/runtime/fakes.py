"""What stands for the world around the runtime: backend, clock, operator."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from breakwater_contract.settings import OperatorKey
from breakwater_runtime.backends.backend import Deliver, Finding, PoolUse, Subscription
from breakwater_runtime.calls import Call, Channel

ALICE = "alice-key-0123456789"
EXPIRED = "expired-key-0123456789"
ADMIN = "admin-key-for-tests"
UID = "6f1a8f3e-server-uid"


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something that nobody announces, with a bound."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


@dataclass
class FakePeer:
    """Remembers whether its session has ended."""

    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def close(self) -> None:
        self.closed.set()


async def nothing(call: Call) -> bytes:
    """Answer with a result that says nothing; to `initialize` with what it must say."""
    return b'{"protocolVersion": "2025-11-25"}' if call.method == "initialize" else b"{}"


@dataclass
class FakeBackend:
    """Answers everything by `work`, and remembers what it was asked."""

    name: str = "main"
    fault: str | None = None
    bodies: list[Call] = field(default_factory=list)
    findings: Sequence[Finding] = ()
    failure: Exception | None = None
    work: Callable[[Call], Awaitable[bytes]] = nothing
    sessions: bool = False
    peers: list[FakePeer] = field(default_factory=list)
    channels: list[Channel] = field(default_factory=list)
    streams_ended: int = 0
    listening: bool = False
    schemas: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    tools: set[str] = field(default_factory=lambda: {"echo"})
    never_answered: bool = False
    lost_threads: int = 0
    ears: list[Deliver] = field(default_factory=list)
    pools: Mapping[str, PoolUse] = field(default_factory=dict)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        yield

    async def answer(self, call: Call) -> bytes:
        if self.failure:
            raise self.failure
        self.bodies.append(call)
        return await self.work(call)

    def listen(self, call: Call, deliver: Deliver) -> Subscription | None:
        if not self.listening:
            return None
        self.bodies.append(call)
        self.ears.append(deliver)
        return Subscription(b'{"ended": true}', lambda: self.ears.remove(deliver))

    async def note(self, call: Call) -> None:
        self.bodies.append(call)

    def has_tool(self, name: str) -> bool:
        return name in self.tools

    def may_have_tool(self, name: str) -> bool:
        return name in self.tools or self.never_answered

    def input_schema(self, tool: str) -> Mapping[str, Any] | None:
        return self.schemas.get(tool)

    def declares_headers(self, _tool: str) -> bool:
        return True

    def mismatch(self, _call: Call, headers: Sequence[tuple[str, str]]) -> str | None:
        return "a parameter" if ("mcp-param-bad", "yes") in headers else None

    def needs_session(self, capabilities: Mapping[str, Any]) -> bool:
        return self.sessions or "sampling" in capabilities

    def connect(self, _session_id: str, channel: Channel) -> FakePeer:
        self.channels.append(channel)
        self.peers.append(FakePeer())
        return self.peers[-1]

    def end_streams(self) -> None:
        self.streams_ended += 1


@dataclass
class FakeIds:
    """Ids of sessions that a test can foretell."""

    made: int = 0

    def make(self, _principal: str, _lifetime_seconds: float) -> str:
        self.made += 1
        return f"s-{self.made}"


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
