"""How much of anything a client may have: what the `limits` of an McpServer mean to a runtime."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from breakwater_contract.model import Model
from breakwater_contract.rules import rule, rules
from breakwater_contract.units import Duration, Quantity, SomeBytes, SomeTime

SESSION_SECONDS_MAX = 24 * 3600
"""The longest session: keys that sealed an id are kept for as long."""

LIFETIME = "a session lasts at most a day; write a lifetime of up to 24h"
LIFETIME_RULE = rule(
    "!has(self.lifetime) || duration(self.lifetime) <= duration('24h')", LIFETIME, ".lifetime"
)

PerMinute = Annotated[int, Field(ge=1, le=60_000_000)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
ToolName = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Rates(Model):
    """Requests per minute, each replica for itself; a whole minute's worth may come at once."""

    principal: PerMinute = 6000
    """Requests that one principal may send, whatever they ask for."""
    replica: PerMinute | None = None
    """Requests that one replica takes from all principals together; unset: as many as come."""
    tools: dict[ToolName, PerMinute] = Field(default_factory=dict, max_length=256)
    """Calls of a tool that one replica takes from all principals together, by the tool's name."""


class Bodies(Model):
    """What a request may carry."""

    max: SomeBytes = Quantity("4Mi")
    """The largest body; a larger one is answered 413 and not read to its end."""


class Responses(Model):
    """What an answer may carry."""

    max: SomeBytes = Quantity("16Mi")
    """The largest result; in place of a larger one the client gets an error that says so."""


class Headers(Model):
    """What may stand in front of a body."""

    max: SomeBytes = Quantity("32Ki")
    """Request line and headers together; more is answered 431."""
    count: Annotated[int, Field(ge=8, le=1000)] = 100
    """Headers in a request; more are answered 431."""
    url: SomeBytes = Quantity("8Ki")
    """The longest URL; a longer one is answered 414."""


class Timeouts(Model):
    """How slow a client may be, and the MCP server behind, before they only occupy a place."""

    headers: SomeTime = Duration("10s")
    """From a request's first byte, or from the connection's begin, to the end of its headers."""
    body: SomeTime = Duration("15s")
    """For a body; `slowest` prolongs it."""
    answer: SomeTime = Duration("30s")
    """How long a client may leave its answer unread; `slowest` prolongs it."""
    slowest: Quantity = Quantity("8Ki")
    """Bytes per second that prolong the two: who sends or reads faster is never cut."""
    heartbeat: SomeTime = Duration("25s")
    """How long a stream may be silent; then it gets a comment, since proxies cut silent ones after
    30 s or more. Looked at once a second."""
    call: SomeTime = Duration("10m")
    """How long a backend may take for a request, whatever it says meanwhile; then that is cancelled
    and answered with TIMEOUT. Listening to changes may take for ever."""


class Queue(Model):
    """Where requests wait while `inFlight` others are answered."""

    length: Annotated[int, Field(ge=0, le=100_000)] = 1000
    """Requests that may wait; one more is answered 503."""
    wait: Duration = Duration("10s")
    """How long each may wait; then it is answered 503."""


class Sessions(Model):
    """How many sessions of older clients there may be, and what each may keep."""

    model_config = ConfigDict(json_schema_extra=rules(LIFETIME_RULE))

    idle: SomeTime = Duration("1h")
    """How long a session that nobody uses is kept."""
    lifetime: SomeTime = Duration("24h")
    """The longest that a session may last, used or not; then its client begins another one."""
    per_principal: Count = 1000
    """Sessions that one principal may have; one more ends the one that was idle for longest, or is
    answered 503 where none is idle."""
    total: Count = 10_000
    """Sessions of all principals together; likewise."""
    replay: Quantity = Quantity("1Mi")
    """What one session may keep of its streams for a client that comes back for the rest."""
    replay_total: Quantity = Quantity("64Mi")
    """What all sessions together may keep."""

    @model_validator(mode="after")
    def _not_too_long(self) -> Self:
        if self.lifetime.seconds > SESSION_SECONDS_MAX:
            raise ValueError(LIFETIME)
        return self


class Limits(Model):
    """How much clients may have of one replica."""

    requests_per_minute: Rates = Rates()
    """How often they may ask."""
    bodies: Bodies = Bodies()
    """How large a request's body may be."""
    responses: Responses = Responses()
    """How large a result may be."""
    headers: Headers = Headers()
    """How large what stands in front of it may be."""
    timeouts: Timeouts = Timeouts()
    """How slow a client and a backend may be."""
    in_flight: Count = 1000
    """Requests that are answered at the same time; open streams do not count."""
    queue: Queue = Queue()
    """Where those beyond wait."""
    connections: Count = 10_000
    """Connections to the public port; on those beyond, requests are answered 503."""
    connections_per_address: Count = 5000
    """Connections from one address; on those beyond, requests are answered 503. Trusted proxies
    may have all there are."""
    streams: Count = 5000
    """Answers that go on as event streams; one more is answered 503 instead."""
    sessions: Sessions = Sessions()
    """Sessions of clients that speak a revision before 2026-07-28."""


class Tls(Model):
    """HTTPS in place of HTTP on the public port."""

    certificate_file: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    """The certificate with its chain, as PEM; a relative path is relative to the settings file. It
    is read again when it changes, and taken over if it fits the key."""
    key_file: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    """The certificate's private key, as PEM without a passphrase; likewise."""
    min_version: Literal["1.2", "1.3"] = "1.3"
    """The oldest version of TLS that is spoken."""
    handshake: SomeTime = Duration("10s")
    """How long a client may take for the handshake."""
