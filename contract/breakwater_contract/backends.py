"""Where tools come from, as the runtime is told."""

from enum import Enum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from breakwater_contract.model import Model
from breakwater_contract.remote import RemoteBackend
from breakwater_contract.units import Duration, Quantity, SomeBytes, SomeTime

ENTRY_POINT = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

EntryPoint = Annotated[str, StringConstraints(pattern=ENTRY_POINT, max_length=253)]
BackendName = Annotated[str, StringConstraints(pattern=NAME, max_length=40)]
Port = Annotated[int, Field(ge=1, le=65535)]
User = Annotated[int, Field(ge=0, le=2**32 - 2)]
SocketPath = Annotated[str, StringConstraints(min_length=1, max_length=107)]
Path = Annotated[str, StringConstraints(pattern=r"^/[!-~]*$", max_length=1024)]


SPARES = (
    "instances.spares are children of a stdio command for the next principal or session; leave it "
    "out with isolation Shared, and for servers that listen at a port"
)


class Reason(Enum):
    """What a runtime finds out about a backend; the operator makes conditions of it."""

    STARTING = "BackendStarting"
    """It has not answered yet."""
    UNREACHABLE = "BackendUnreachable"
    """Nobody is there to start it, or to be asked."""
    CRASHING = "BackendCrashing"
    """It ends again and again, or could not be started at all."""
    HANDSHAKE_FAILED = "BackendHandshakeFailed"
    """It runs, and does not speak MCP."""
    TOOLS_MISSING = "BackendToolsMissing"
    """It lacks tools that it is expected to have, or that the settings name."""
    TOOLS_CLASH = "BackendToolsClash"
    """It has tools of names that another backend, or the gateway itself, has too."""
    EXPOSED = "BackendExposed"
    """It can be reached from outside the pod, past the runtime."""


class PythonBackend(Model):
    """An MCPServer object of the MCP SDK that runs inside the runtime's own process."""

    server: EntryPoint
    """Where the object is, as `package.module:attribute`."""


class Stdio(Model):
    """A command that speaks MCP over its standard streams.

    `breakwater-child` is its parent, in the container of the command's image.
    """

    socket: SocketPath
    """The Unix socket of `breakwater-child`; a relative path is relative to the settings file."""
    user: User | None = None
    """Who must be at the other end of the socket, as a numeric user; unset: anybody who may."""


class Http(Model):
    """A server that speaks MCP over HTTP, on the loopback address of the pod."""

    port: Port
    """Its port."""
    path: Path = "/mcp"
    """The path of its endpoint."""
    socket: SocketPath | None = None
    """The Unix socket of the `breakwater-child` that starts the server's command, and again when it
    ends; a relative path is relative to the settings file. Unset: others start the server."""
    user: User | None = None
    """Who must be at the other end of the socket, as a numeric user; unset: anybody who may."""
    known_listeners: Annotated[tuple[Port, ...], Field(max_length=32)] = ()
    """Ports of the pod that may be open to other pods, as those of a service mesh's sidecar."""
    allow_access_that_bypasses_the_runtime: bool = False
    """Serve even though the backend's port can be reached from outside the pod, without keys,
    limits or audit."""

    @model_validator(mode="after")
    def _user_of_a_socket(self) -> "Http":
        if self.user is not None and self.socket is None:
            raise ValueError("user says who is at the other end of the socket; write socket too")
        return self


class Instances(Model):
    """How many children of a command, or sessions with a server, there may be."""

    max: Annotated[int, Field(ge=1, le=1000)] = 32
    """At once; beyond that, the one that was idle longest makes room."""
    idle: Duration = Duration("10m")
    """How long one may be idle; then it is stopped, and what it remembers is gone."""
    spares: Annotated[int, Field(ge=0, le=100)] = 0
    """How many children of a command are started ahead, for the next principal or session. They
    count as instances, and give way where others need their places."""


class ContainerBackend(Model):
    """An MCP server in another container of the pod; exactly one of `stdio` and `http` is set."""

    stdio: Stdio | None = None
    """It speaks over its standard streams."""
    http: Http | None = None
    """It speaks over HTTP."""
    isolation: Literal["PerSession", "PerPrincipal", "Shared"] = "PerPrincipal"
    """Who shares an instance of it: nobody, the sessions of one principal, or all callers. It keeps
    apart what the server remembers; it is no security boundary."""
    instances: Instances = Instances()
    """How many instances there may be."""
    start: SomeTime = Duration("2m")
    """How long an instance may take to answer the first time."""
    call: SomeTime = Duration("10m")
    """How long a call may take; then it is cancelled and answered with TIMEOUT."""
    message: SomeBytes = Quantity("16Mi")
    """The longest message that it may send."""

    @model_validator(mode="after")
    def _one_transport(self) -> "ContainerBackend":
        if (self.stdio is None) == (self.http is None):
            raise ValueError("write exactly one of stdio and http")
        return self

    @model_validator(mode="after")
    def _spares_for_somebody(self) -> "ContainerBackend":
        if self.instances.spares and (self.stdio is None or self.isolation == "Shared"):
            raise ValueError(SPARES)
        return self


class Backend(Model):
    """Where tools come from; exactly one of `python`, `container` and `remote` is set."""

    name: BackendName = "main"
    """What the backend is called in metrics, logs and messages."""
    python: PythonBackend | None = None
    """A server object in this process."""
    container: ContainerBackend | None = None
    """A server in another container of the pod."""
    remote: RemoteBackend | None = None
    """Another MCP server, by its URL."""

    @model_validator(mode="after")
    def _one_kind(self) -> "Backend":
        kinds = (self.python, self.container, self.remote)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("write exactly one of python, container and remote")
        return self
