"""Where tools come from: the backends of a server."""

from typing import Self

from pydantic import ConfigDict, model_validator

from breakwater_contract.model import Model
from breakwater_contract.rules import exactly_one, exactly_one_set, rule, rules
from breakwater_operator.api.containers import ContainerBackend
from breakwater_operator.api.fields import BackendName, EntryPoint
from breakwater_operator.api.remote import RemoteBackend
from breakwater_operator.api.tools import Tools
from breakwater_operator.api.variables import EnvVar, Variables
from breakwater_operator.api.volumes import VolumeMount, VolumeMounts

ONE_KIND = "write exactly one of python, container and remote"


class PythonBackend(Model):
    """An MCPServer object of the MCP Python SDK that runs inside the runtime's own process.

    Only for code that you trust: it shares the process with what guards it.
    """

    server: EntryPoint
    """Where the object is, as `package.module:attribute`. The package must be in the image."""
    env: Variables = ()
    """Environment variables for it. The runtime takes no settings from the environment."""
    volume_mounts: VolumeMounts = ()
    """Volumes of `spec.pod.volumes` that it reads or writes. Everything else but `/tmp` is
    read-only."""


class Backend(Model):
    """Each has a name, and one member that says what kind of backend it is."""

    model_config = ConfigDict(
        json_schema_extra=rules(rule(exactly_one("python", "container", "remote"), ONE_KIND))
    )

    name: BackendName = "main"
    """What the backend is called in metrics, logs and messages."""
    python: PythonBackend | None = None
    """An MCPServer object of the MCP Python SDK, in an image made FROM breakwater-runtime."""
    container: ContainerBackend | None = None
    """An MCP server in any image, in a container of its own in the same pods."""
    remote: RemoteBackend | None = None
    """Another MCP server, by its URL."""
    tools: Tools = Tools()
    """What is shown of its tools, and how; running pods take it over."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        exactly_one_set(ONE_KIND, self.python, self.container, self.remote)
        return self

    @property
    def env(self) -> tuple[EnvVar, ...]:
        """Its environment variables."""
        kind = self.python or self.container
        return kind.env if kind is not None else ()

    @property
    def volume_mounts(self) -> tuple[VolumeMount, ...]:
        """The volumes that it sees."""
        kind = self.python or self.container
        return kind.volume_mounts if kind is not None else ()

    @property
    def kind(self) -> str:
        """The member that is set."""
        kinds = {"python": self.python, "container": self.container, "remote": self.remote}
        return next(name for name, value in kinds.items() if value is not None)
