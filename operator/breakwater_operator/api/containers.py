"""MCP servers in images of their own."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from breakwater_contract.backends import SPARES
from breakwater_contract.model import Model
from breakwater_contract.names import INTERNAL_PORT, MANAGEMENT_PORT, PUBLIC_PORT
from breakwater_contract.rules import (
    atomic,
    exactly_one,
    exactly_one_set,
    quoted,
    rule,
    rules,
)
from breakwater_contract.shapes import Shape
from breakwater_contract.units import Duration, SomeTime
from breakwater_operator.api.fields import ImageReference, Port
from breakwater_operator.api.quantity import Bytes
from breakwater_operator.api.resources import Resources
from breakwater_operator.api.variables import Variables
from breakwater_operator.api.volumes import (
    NO_DOTS,
    NO_DOTS_RULE,
    TAKEN_PATH,
    TAKEN_PATHS,
    TAKEN_TREES,
    MountPath,
    VolumeMounts,
    has_dots,
)

ONE_TRANSPORT = (
    "write exactly one of stdio (the command that speaks MCP over its standard streams) and port "
    "(where the server listens)"
)
ONLY_HTTP = (
    "path, command and args are for servers with a port; remove them, or write the whole command "
    "as stdio"
)
OUR_PORTS = (PUBLIC_PORT, MANAGEMENT_PORT, INTERNAL_PORT)
TAKEN_PORT = f"{', '.join(map(str, OUR_PORTS))} are the runtime's own ports; choose another one"

URL_PATH = r"^/[!-~]*$"
URL_PATH_SHAPE = "write the path of the MCP endpoint, as in /mcp"

NO_NUL = "a word of a command cannot hold the character NUL; take it out"


def _without_nul(word: str) -> str:
    if "\0" in word:
        raise ValueError(NO_NUL)
    return word


Words = Annotated[
    str,
    Field(max_length=4096, json_schema_extra={"pattern": r"^[^\x00]*$"}),
    AfterValidator(_without_nul),
]
UrlPath = Annotated[str, Shape(URL_PATH, 1024, URL_PATH_SHAPE)]
UserId = Annotated[int, Field(ge=1, le=2_147_483_647)]


class Instances(Model):
    """How many children of the command, or sessions with the server, a pod may have."""

    max: Annotated[int, Field(ge=1, le=1000)] = 32
    """At once; beyond that, the one that was idle longest makes room."""
    idle: Duration = Duration("10m")
    """How long one may be idle; then it is stopped, and what it remembers is gone."""
    spares: Annotated[int, Field(ge=0, le=100)] = 0
    """How many children of a `stdio` command are started ahead, for the next principal or session.
    They count as children, and give way where others need their places."""
    memory: Bytes | None = None
    """How much memory each child of a `stdio` command may take for its data; absent: what the
    container has."""


class ContainerBackend(Model):
    """An MCP server in an image of its own. Exactly one of `stdio` and `port` is set."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(exactly_one("stdio", "port"), ONE_TRANSPORT),
            rule(
                "has(self.port) || !(has(self.path) || has(self.command) || has(self.args))",
                ONLY_HTTP,
            ),
            rule(
                "!has(self.instances) || !has(self.instances.spares) || "
                "self.instances.spares == 0 || (has(self.stdio) && self.isolation != 'Shared')",
                SPARES,
            ),
            rule(f"!has(self.port) || !(self.port in {list(OUR_PORTS)})", TAKEN_PORT, ".port"),
            rule(
                "!has(self.writable) || self.writable.all(path, "
                f"!(path in {quoted(TAKEN_PATHS)}) && "
                f"!{quoted(TAKEN_TREES)}.exists(tree, path.startsWith(tree)))",
                TAKEN_PATH,
                ".writable",
            ),
            rule(
                "!has(self.writable) || self.writable.all(path, "
                f"{NO_DOTS_RULE.format('x').replace('self.x', 'path')})",
                NO_DOTS,
                ".writable",
            ),
        )
    )

    image: ImageReference
    """The image."""
    stdio: Annotated[tuple[Words, ...], atomic(64, least=1)] | None = None
    """The command, with its arguments, that speaks MCP over its standard streams. The image's own
    ENTRYPOINT and CMD are not used."""
    port: Port | None = None
    """The port at which the server speaks Streamable HTTP. It must listen on 127.0.0.1: one that
    other pods can reach keeps the pod from getting ready."""
    path: UrlPath | None = None
    """The path of its endpoint; absent: `/mcp`."""
    command: Annotated[tuple[Words, ...], atomic(64)] = ()
    """What is started in place of the image's ENTRYPOINT. Where it is written, the helper starts it
    again when it ends, and the pod stays ready while other backends can serve."""
    args: Annotated[tuple[Words, ...], atomic(64)] = ()
    """What is given to it in place of the image's CMD, such as `--host 127.0.0.1`."""
    env: Variables = ()
    """Environment variables for it."""
    volume_mounts: VolumeMounts = ()
    """Volumes of `spec.pod.volumes` that it reads or writes. Everything else but `/tmp`, its home
    and `writable` is read-only."""
    writable: Annotated[tuple[MountPath, ...], atomic(16)] = ()
    """More folders in which it may write; they are empty when a pod starts. Where a volume is
    mounted at one of them, or at `/home/breakwater`, that is what is there."""
    user: UserId | None = None
    """The numeric user that it runs as; absent: 65533."""
    resources: Resources = Resources()
    """CPU, memory and disk of its container."""
    isolation: Literal["PerSession", "PerPrincipal", "Shared"] = "PerPrincipal"
    """Who shares a child of the command, or a session with the server: nobody, the sessions of one
    principal, or all callers. It keeps apart what the server remembers, and is no security
    boundary."""
    instances: Instances = Instances()
    """How many there may be."""
    start: SomeTime = Duration("2m")
    """How long the server may take to answer the first time."""
    allow_access_that_bypasses_the_runtime: bool = False
    """Serve even though the server's port can be reached from other pods, without keys, limits or
    audit."""

    @model_validator(mode="after")
    def _one_transport(self) -> Self:
        exactly_one_set(ONE_TRANSPORT, self.stdio, self.port)
        if self.port is None and (self.path is not None or self.command or self.args):
            raise ValueError(ONLY_HTTP)
        if self.port in OUR_PORTS:
            raise ValueError(f"port {self.port}: {TAKEN_PORT}")
        if self.instances.spares and (self.stdio is None or self.isolation == "Shared"):
            raise ValueError(SPARES)
        return self

    @model_validator(mode="after")
    def _writable(self) -> Self:
        for path in self.writable:
            if path in TAKEN_PATHS or path.startswith(TAKEN_TREES):
                raise ValueError(f"writable {path}: {TAKEN_PATH}")
            if has_dots(path):
                raise ValueError(f"writable {path}: {NO_DOTS}")
        return self
