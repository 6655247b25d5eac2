"""What is written down of a server's work, and where it is sent: logs, audit, traces."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from breakwater_contract.model import Model
from breakwater_contract.units import Duration

LogLevel = Literal["Debug", "Info", "Warning", "Error"]
Percent = Annotated[int, Field(ge=0, le=100)]
URL = r"^https?://[^/?#\s@]+(/[^?#\s]*)?$"
HEADER_NAME = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"

HeaderName = Annotated[str, StringConstraints(pattern=HEADER_NAME, max_length=128)]
# A line break would be a header of somebody else's making.
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]*$", max_length=4096)]


class Audit(Model):
    """The audit stream. Security events are always in it."""

    calls: bool = False
    """Whether every call of a tool is recorded too: by whom, of what, with what outcome."""


class Tracing(Model):
    """Traces. Those with an error and slow ones are always kept, of the others a part."""

    percent: Percent = 10
    """How many of the others are kept, of a hundred."""
    per_second: Annotated[int, Field(ge=1, le=10_000)] = 50
    """How many of the others are kept in a second at most."""


class Monitoring(Model):
    """What is written down of a server's work."""

    log_level: LogLevel = "Info"
    """The least important lines that are logged."""
    log_requests: bool = False
    """Whether each request and its answer are logged, without bodies and without credentials."""
    slow: Duration = Duration("2s")
    """What takes longer is logged as slow, and its trace is kept."""
    audit: Audit = Audit()
    """The audit stream."""
    tracing: Tracing | None = None
    """Traces; unset: none are made. They are sent to where OTLP goes."""


class Collector(Model):
    """Where telemetry is sent, as OTLP over HTTP."""

    endpoint: Annotated[str, StringConstraints(pattern=URL, max_length=2048)]
    """The collector's URL; `/v1/traces` and `/v1/metrics` are added to it."""
    timeout: Duration = Duration("10s")
    """How long the collector may take to answer."""
    metrics: Duration | None = None
    """How often metrics are sent; unset: they are not, and wait to be scraped."""
    resource: dict[
        Annotated[str, StringConstraints(min_length=1, max_length=256)],
        Annotated[str, StringConstraints(max_length=1024)],
    ] = Field(default_factory=dict, max_length=64)
    """Attributes of the process beyond its name, version and identity."""


class Otlp(Collector):
    """Where telemetry is sent, and with what credentials."""

    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict, max_length=32)
    """Headers to send with it. For secrets there is `headersFile`."""
    headers_file: Annotated[str, StringConstraints(min_length=1, max_length=4096)] | None = None
    """A file with more headers, one `name: value` per line; a relative path is relative to the
    settings file. It is read again when it changes."""
    ca_file: Annotated[str, StringConstraints(min_length=1, max_length=4096)] | None = None
    """The certificates, as PEM, by one of which the collector's must be signed; likewise. Unset:
    those of the system."""
