"""The McpServer as users write it; its CRD and its reference page are made from this module."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from breakwater_contract.model import Model
from breakwater_contract.settings import BackendName, EntryPoint
from breakwater_operator.api import names
from breakwater_operator.api.errors import Fault, SpecError
from breakwater_operator.api.fields import (
    SERVER_NAME,
    SERVER_NAME_MAX,
    DataKey,
    DnsSubdomain,
    EnvName,
    ImageReference,
    matches,
)
from breakwater_operator.api.parse import parse
from breakwater_operator.api.pod import PodSpec, VolumeMount
from breakwater_operator.api.rules import exactly_one, list_map, rule, rules

NAME_SHAPE = (
    f"metadata.name must have at most {SERVER_NAME_MAX} characters, lower-case letters, digits "
    "and '-', begin with a letter and not end with '-'; choose another name"
)
WRITTEN_BY_US = (
    "spec.access.keys.secretName is a Secret that the operator writes itself; name a Secret of "
    "your own, or leave it out to have a key generated"
)
UNKNOWN_VOLUME = (
    "each volumeMounts[].name must be the name of a volume of spec.pod.volumes; add the volume or "
    "correct the name"
)
ONE_BACKEND = (
    "exactly one backend is supported; keep one here and make an McpServer for each of the others"
)
ONE_VALUE = "write value or valueFrom, not both"
ONE_REFERENCE = "write exactly one of secretKeyRef and configMapKeyRef"

NAME_RULE = rule(
    f"size(self.metadata.name) <= {SERVER_NAME_MAX} && self.metadata.name.matches('{SERVER_NAME}')",
    NAME_SHAPE,
)
KEYS_RULE = rule(
    "!has(self.spec.access) || !has(self.spec.access.keys) || "
    "!has(self.spec.access.keys.secretName) || "
    "!(self.spec.access.keys.secretName in [self.metadata.name + '-keys', "
    "self.metadata.name + '-live'])",
    WRITTEN_BY_US,
    ".spec.access.keys.secretName",
)
ROOT_RULES = rules(NAME_RULE, KEYS_RULE)
"""What can be said only where name and spec are both seen."""


class KeyReference(Model):
    """One entry of a Secret or ConfigMap in the namespace of the server."""

    name: DnsSubdomain
    """Name of the Secret or ConfigMap."""
    key: DataKey
    """The entry of its data."""
    optional: bool = False
    """Whether pods start, without the variable, when the object or the entry is missing."""


class EnvSource(Model):
    """Where the value of a variable comes from. Exactly one of its members is set."""

    model_config = ConfigDict(
        json_schema_extra=rules(rule(exactly_one("secretKeyRef", "configMapKeyRef"), ONE_REFERENCE))
    )

    secret_key_ref: KeyReference | None = None
    """An entry of a Secret; pods read it when they start."""
    config_map_key_ref: KeyReference | None = None
    """An entry of a ConfigMap; pods read it when they start."""

    @model_validator(mode="after")
    def _one_reference(self) -> Self:
        if (self.secret_key_ref is None) == (self.config_map_key_ref is None):
            raise ValueError(ONE_REFERENCE)
        return self


class EnvVar(Model):
    """An environment variable of a backend."""

    model_config = ConfigDict(
        json_schema_extra=rules(rule("!(has(self.value) && has(self.valueFrom))", ONE_VALUE))
    )

    name: EnvName
    """Name of the variable."""
    value: Annotated[str, Field(max_length=32768)] | None = None
    """Its value. `$(OTHER)` stands for the value of a variable further up, `$$` for a dollar."""
    value_from: EnvSource | None = None
    """Where its value comes from, instead of `value`."""

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        if self.value is not None and self.value_from is not None:
            raise ValueError(ONE_VALUE)
        return self


class PythonBackend(Model):
    """An MCPServer object of the MCP Python SDK that runs inside the runtime's own process.

    Only for code that you trust: it shares the process with what guards it.
    """

    server: EntryPoint
    """Where the object is, as `package.module:attribute`. The package must be in the image."""
    env: Annotated[
        tuple[EnvVar, ...], Field(max_length=64, json_schema_extra=list_map("name"))
    ] = ()
    """Environment variables for it. The runtime takes no settings from the environment."""
    volume_mounts: Annotated[
        tuple[VolumeMount, ...], Field(max_length=32, json_schema_extra=list_map("mountPath"))
    ] = ()
    """Volumes of `spec.pod.volumes` that it reads or writes. Everything else but `/tmp` is
    read-only."""


class Backend(Model):
    """Each has a name, and one member that says what kind of backend it is."""

    name: BackendName = "main"
    """What the backend is called in metrics, logs and messages."""
    python: PythonBackend
    """An MCPServer object of the MCP Python SDK, in an image made FROM breakwater-runtime."""


class KeyAccess(Model):
    """API keys. Clients send one as `X-API-Key: KEY` or as `Authorization: Bearer KEY`."""

    secret_name: DnsSubdomain | None = None
    """A Secret in the namespace of the server: each entry is a principal, its value one key per
    line, plain or `sha256:` and the key's hash in hexadecimal, optionally followed by
    ` expires=` and a time such as 2027-01-31T00:00:00Z. Changes reach running pods within
    seconds. Absent: one key is generated, as entry `default` of the Secret
    `<name>-keys`."""


class Access(Model):
    """Who may use the server. Without a valid credential every request is answered 401."""

    keys: KeyAccess = KeyAccess()
    """API keys."""


class Runtime(Model):
    """The runtime: the container in front of every backend."""

    image: ImageReference | None = None
    """Its image: breakwater-runtime, or one made FROM it with a Python backend inside. Absent:
    the platform's default of the day on which the revision was first rolled out."""


class McpServerSpec(Model):
    """What an MCP server should be. Everything but `backends` is optional."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.backends.all(backend, !has(backend.python.volumeMounts) || "
                "backend.python.volumeMounts.all(mount, has(self.pod) && has(self.pod.volumes) && "
                "self.pod.volumes.exists(volume, volume.name == mount.name)))",
                UNKNOWN_VOLUME,
            )
        )
    )

    backends: Annotated[
        tuple[Backend, ...],
        Field(
            min_length=1,
            max_length=16,
            json_schema_extra=list_map("name", rule=rule("size(self) == 1", ONE_BACKEND)),
        ),
    ]
    """Where tools, resources and prompts come from. Exactly one backend is supported."""
    access: Access = Access()
    """Who may use the server."""
    runtime: Runtime = Runtime()
    """The runtime: the container in front of every backend."""
    pod: PodSpec = PodSpec()
    """What the pods get: volumes and resources."""
    replicas: Annotated[int, Field(ge=0, le=1000)] = 2
    """How many pods serve. `kubectl scale` changes it."""
    suspend: bool = False
    """Whether all pods are taken away while everything else stays."""

    @model_validator(mode="after")
    def _one_backend(self) -> Self:
        if len(self.backends) != 1:
            raise ValueError(f"{len(self.backends)} backends: {ONE_BACKEND}")
        return self

    @model_validator(mode="after")
    def _known_volumes(self) -> Self:
        volumes = {volume.name for volume in self.pod.volumes}
        mounts = {mount.name for item in self.backends for mount in item.python.volume_mounts}
        if unknown := sorted(mounts - volumes):
            raise ValueError(f"no volume {', '.join(unknown)}: {UNKNOWN_VOLUME}")
        return self

    @model_validator(mode="after")
    def _no_duplicates(self) -> Self:
        """Refuse what the API server refuses in its list-maps, for manifests it has never seen."""
        lists = {"pod.volumes": [volume.name for volume in self.pod.volumes]}
        for item in self.backends:
            lists[f"backends[{item.name}].python.env"] = [var.name for var in item.python.env]
            lists[f"backends[{item.name}].python.volumeMounts"] = [
                mount.mount_path for mount in item.python.volume_mounts
            ]
        for where, keys in lists.items():
            if twice := sorted({key for key in keys if keys.count(key) > 1}):
                raise ValueError(f"{where} has {', '.join(twice)} twice; keep one of them")
        return self


class McpServer(Model):
    """An McpServer whose spec is valid."""

    name: str
    namespace: str
    uid: str
    generation: int
    """Counts the changes of the spec."""
    spec: McpServerSpec

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> "McpServer":
        """Read an object as the API server gives it.

        Raises:
            SpecError: With every fault of its name and spec.
        """
        metadata = obj["metadata"]
        server = cls(
            name=metadata["name"],
            namespace=metadata["namespace"],
            uid=metadata["uid"],
            generation=metadata.get("generation", 0),
            spec=parse(McpServerSpec, obj.get("spec") or {}, "spec"),
        )
        if faults := tuple(server._faults()):
            raise SpecError(faults)
        return server

    def _faults(self) -> "list[Fault]":
        faults = []
        if len(self.name) > SERVER_NAME_MAX or not matches(SERVER_NAME, self.name):
            faults.append(Fault("metadata.name", f"{self.name}: {NAME_SHAPE}"))
        own = {names.key_secret(self.name), names.live(self.name)}
        if self.spec.access.keys.secret_name in own:
            faults.append(Fault("spec.access.keys.secretName", WRITTEN_BY_US))
        return faults

    @property
    def wanted_replicas(self) -> int:
        """How many pods there should be now."""
        return 0 if self.spec.suspend else self.spec.replicas
