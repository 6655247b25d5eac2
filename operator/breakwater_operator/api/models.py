"""The McpServer as users write it; its CRD and reference page are made from this module."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from breakwater_contract.model import Model
from breakwater_contract.settings import BackendName, EntryPoint
from breakwater_operator.api.fields import DataKey, DnsSubdomain, EnvName, ImageReference
from breakwater_operator.api.parse import parse
from breakwater_operator.api.pod import PodSpec, VolumeMount


class KeyReference(Model):
    """One entry of a Secret or ConfigMap in the server's namespace."""

    name: DnsSubdomain
    """Name of the object."""
    key: DataKey
    """The entry of its data."""
    optional: bool = False
    """Whether the pod starts without the object or the entry."""


class EnvSource(Model):
    """Where the value of a variable comes from; exactly one member."""

    secret_key_ref: KeyReference | None = None
    """An entry of a Secret."""
    config_map_key_ref: KeyReference | None = None
    """An entry of a ConfigMap."""


class EnvVar(Model):
    """An environment variable."""

    name: EnvName
    """Name of the variable."""
    value: Annotated[str, Field(max_length=32768)] | None = None
    """Its value; `$(OTHER)` is replaced by the value of a variable defined before."""
    value_from: EnvSource | None = None
    """Where the value comes from instead."""


class PythonBackend(Model):
    """An MCPServer object of the MCP Python SDK."""

    server: EntryPoint
    """Where the object is, as `package.module:attribute`."""
    env: Annotated[tuple[EnvVar, ...], Field(max_length=64)] = ()
    """Environment variables."""
    volume_mounts: Annotated[tuple[VolumeMount, ...], Field(max_length=32)] = ()
    """Volumes of `spec.pod.volumes` that it reads or writes."""


class Backend(Model):
    """Where tools come from."""

    name: BackendName = "main"
    """What the backend is called in metrics, logs and messages."""
    python: PythonBackend
    """A server object inside the runtime's own process."""


class Keys(Model):
    """API keys."""

    secret_name: DnsSubdomain | None = None
    """The Secret with the keys; absent: one is generated."""


class Access(Model):
    """Who may use the server."""

    keys: Keys = Keys()
    """API keys."""


class Runtime(Model):
    """The runtime in front of the backends."""

    image: ImageReference | None = None
    """Its image; absent: the platform's."""


class McpServerSpec(Model):
    """What an MCP server should be."""

    backends: Annotated[tuple[Backend, ...], Field(min_length=1, max_length=16)]
    """Where the tools come from."""
    access: Access = Access()
    """Who may use the server."""
    runtime: Runtime = Runtime()
    """The runtime in front of the backends."""
    pod: PodSpec = PodSpec()
    """What the pods get."""
    replicas: Annotated[int, Field(ge=0, le=1000)] = 2
    """How many pods serve."""
    suspend: bool = False
    """Whether all pods are taken away."""


class McpServer(Model):
    """An McpServer whose spec is valid."""

    name: str
    namespace: str
    uid: str
    generation: int
    spec: McpServerSpec

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> "McpServer":
        """Read an object as the API server gives it.

        Raises:
            SpecError: With every fault of its spec.
        """
        metadata = obj["metadata"]
        return cls(
            name=metadata["name"],
            namespace=metadata["namespace"],
            uid=metadata["uid"],
            generation=metadata.get("generation", 0),
            spec=parse(McpServerSpec, obj.get("spec") or {}, "spec"),
        )

    @property
    def wanted_replicas(self) -> int:
        """How many pods there should be now."""
        return 0 if self.spec.suspend else self.spec.replicas
