"""A store that keeps the rates of all replicas together, as a runtime is told of it."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from breakwater_contract.model import Model
from breakwater_contract.units import Duration

ADDRESS = r"^([A-Za-z0-9]([-.A-Za-z0-9]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$"
PORT_MAX = 65535
SECONDS_MIN, SECONDS_MAX = 0.001, 5.0
TOO_LONG = "a request waits for it; write a time from 1ms to 5s"

FileName = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Away = Literal["Local", "Refuse", "Allow"]


class RateStore(Model):
    """A Redis or Valkey in which all replicas count together."""

    address: Annotated[str, StringConstraints(pattern=ADDRESS, max_length=260)]
    """Where it is: `host:port`, as in `redis.platform.svc:6379`, or `[address]:port`."""
    database: Annotated[int, Field(ge=0, le=65535)] = 0
    """The number of its database."""
    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:/-]*$", max_length=128)] = (
        "breakwater"
    )
    """What the names of its keys begin with."""
    timeout: Duration = Duration("100ms")
    """How long it may take to answer; at most 5s. Then it counts as away, and is asked again by the
    second, by no request."""
    when_away: Away = "Local"
    """What holds while it is away. `Local`: each replica counts for itself. `Refuse`: requests are
    answered 503. `Allow`: nothing is counted."""

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        _, port = self.host_and_port
        if not 0 < port <= PORT_MAX:
            raise ValueError(f"address: {port} is not a port; write one from 1 to {PORT_MAX}")
        if not SECONDS_MIN <= self.timeout.seconds <= SECONDS_MAX:
            raise ValueError(f"timeout is {self.timeout}; {TOO_LONG}")
        return self

    @property
    def host_and_port(self) -> tuple[str, int]:
        """The two parts of the address."""
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)


class StoreTls(Model):
    """TLS on the way to the store."""

    ca_file: FileName | None = None
    """The certificates, as PEM, by one of which the store's must be signed; a relative path is
    relative to the settings file. It is read again when it changes. Unset: those of the system."""


class SharedRates(RateStore):
    """The store, and with what credentials."""

    username: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    """Who to be there; unset: its default user."""
    password_file: FileName | None = None
    """A file with the password; a relative path is relative to the settings file. It is read again
    when it changes."""
    tls: StoreTls | None = None
    """TLS, also by an empty object; unset: what is said to it can be read on the way."""
