"""The McpServer as users write it; its CRD and its reference page are made from this module."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from breakwater_contract.gateway import Gateway
from breakwater_contract.model import Model
from breakwater_contract.rules import atomic, list_map, rule, rules
from breakwater_contract.settings import Endpoints
from breakwater_contract.shapes import matches
from breakwater_operator.api import names
from breakwater_operator.api.access import Access
from breakwater_operator.api.backends import Backend
from breakwater_operator.api.errors import Fault, SpecError
from breakwater_operator.api.expose import Certificate, Expose
from breakwater_operator.api.fields import (
    SERVER_NAME,
    SERVER_NAME_MAX,
    DnsSubdomain,
    ImageReference,
)
from breakwater_operator.api.limits import Limits
from breakwater_operator.api.monitoring import Monitoring
from breakwater_operator.api.network import Egress, EgressRule
from breakwater_operator.api.parse import parse
from breakwater_operator.api.pod import PodSpec
from breakwater_operator.api.scaling import Autoscaling

NAME_SHAPE = (
    f"metadata.name must have at most {SERVER_NAME_MAX} characters, lower-case letters, digits "
    "and '-', begin with a letter and not end with '-'; choose another name"
)
WRITTEN_BY_US = (
    "spec.access.keys.secretName is a Secret that the operator or cert-manager writes; name a "
    "Secret of your own, or leave it out to have a key generated"
)
CERTIFICATE_BY_US = (
    "spec.expose.certificate.secretName is a Secret that the operator writes itself; name a Secret "
    "with a certificate"
)
UNKNOWN_VOLUME = (
    "each volumeMounts[].name must be the name of a volume of spec.pod.volumes; add the volume or "
    "correct the name"
)
UNKNOWN_BACKEND = (
    "each access.policies[].backends must be the name of one of spec.backends, or hold '*'; add "
    "the backend or correct the name"
)
ONE_PYTHON = (
    "at most one backend can be python, since all share one process and its environment; put the "
    "others into McpServers of their own, as remote backends here"
)
ONE_PORT = "two containers of a pod cannot have the same port; choose another for one of them"

KNOWN_VOLUMES = (
    "self.backends.all(backend, !has(backend.{0}) || !has(backend.{0}.volumeMounts) || "
    "backend.{0}.volumeMounts.all(mount, has(self.pod) && has(self.pod.volumes) && "
    "self.pod.volumes.exists(volume, volume.name == mount.name)))"
)

KNOWN_BACKENDS = (
    "!has(self.access) || !has(self.access.policies) || self.access.policies.all(policy, "
    "!has(policy.backends) || policy.backends.all(name, name.contains('*') || "
    "self.backends.exists(backend, backend.name == name)))"
)

NAME_RULE = rule(
    f"size(self.metadata.name) <= {SERVER_NAME_MAX} && self.metadata.name.matches('{SERVER_NAME}')",
    NAME_SHAPE,
)
KEYS_RULE = rule(
    "!has(self.spec.access) || !has(self.spec.access.keys) || "
    "!has(self.spec.access.keys.secretName) || "
    "!(self.spec.access.keys.secretName in [self.metadata.name + '-keys', "
    "self.metadata.name + '-live', self.metadata.name + '-internal', self.metadata.name + '-tls'])",
    WRITTEN_BY_US,
    ".spec.access.keys.secretName",
)
CERTIFICATE_RULE = rule(
    "!has(self.spec.expose) || !has(self.spec.expose.certificate) || "
    "!has(self.spec.expose.certificate.secretName) || "
    "!(self.spec.expose.certificate.secretName in [self.metadata.name + '-keys', "
    "self.metadata.name + '-live', self.metadata.name + '-internal'])",
    CERTIFICATE_BY_US,
    ".spec.expose.certificate.secretName",
)
ROOT_RULES = rules(NAME_RULE, KEYS_RULE, CERTIFICATE_RULE)
"""What can be said only where name and spec are both seen."""


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
                KNOWN_VOLUMES.format("python"),
                UNKNOWN_VOLUME,
            ),
            rule(KNOWN_VOLUMES.format("container"), UNKNOWN_VOLUME),
            rule(KNOWN_BACKENDS, UNKNOWN_BACKEND, ".access.policies"),
        )
    )

    backends: Annotated[
        tuple[Backend, ...],
        Field(
            min_length=1,
            max_length=16,
            json_schema_extra=list_map("name")
            | rules(
                rule("self.filter(one, has(one.python)).size() <= 1", ONE_PYTHON),
                rule(
                    "self.filter(one, has(one.container) && has(one.container.port)).all(one, "
                    "self.exists_one(other, has(other.container) && has(other.container.port) && "
                    "other.container.port == one.container.port))",
                    ONE_PORT,
                ),
            ),
        ),
    ]
    """Where tools, resources and prompts come from. Several are served as one server: each one's
    name and `_` stand before the names of its tools."""
    gateway: Gateway | None = None
    """How several backends are served as one. With it, one backend is served so too."""
    access: Access = Access()
    """Who may use the server."""
    endpoints: Endpoints = ("StreamableHTTP", "SSE")
    """Which ways for clients are open: `StreamableHTTP` is `/mcp`, `SSE` is `/mcp/sse`, `JSONRPC`
    is `/rpc`, `REST` is `/tools` and `/sse`. The others are answered 404. Absent: StreamableHTTP
    and SSE."""
    limits: Limits = Limits()
    """How much clients may have of one replica."""
    runtime: Runtime = Runtime()
    """The runtime: the container in front of every backend."""
    pod: PodSpec = PodSpec()
    """What the pods get: volumes, resources, labels, and where and as whom they run."""
    replicas: Annotated[int, Field(ge=0, le=1000)] = 2
    """How many pods serve. `kubectl scale bmcp` changes it, and so may an autoscaler of your
    own that names the McpServer. Whoever scales its Deployment finds that put back, but an
    autoscaler: that one decides, and is named in `Degraded` (`ReplicasContested`)."""
    autoscaling: Autoscaling | None = None
    """How many pods serve, by load; `replicas` is then only what the server starts with."""
    expose: Expose | None = None
    """How clients from outside the cluster reach the server. Absent: they do not."""
    egress: Egress | None = None
    """What the pods may connect to. `Internet`: every address but private ones and those that
    clouds keep metadata at. `None`: nothing but the server's own pods and what the platform opens
    for all. Absent: DNS, and what `access.jwt` needs, too."""
    egress_rules: Annotated[tuple[EgressRule, ...], atomic(32)] = ()
    """What they may connect to besides."""
    monitoring: Monitoring = Monitoring()
    """How the server is watched."""
    operator_class: DnsSubdomain | None = None
    """Which operator looks after the server, where there are several. Absent: the one without a
    class."""
    upgrade_policy: Literal["OnSpecChange", "InWaves"] = "OnSpecChange"
    """When pods take over what a newer operator renders otherwise, or a new default of the
    platform. `OnSpecChange`: with the next change that replaces them anyway. `InWaves`: soon, a few
    servers of the cluster at a time, and none more once one of them does not get ready."""
    suspend: bool = False
    """Whether all pods are taken away while everything else stays."""

    @model_validator(mode="after")
    def _side_by_side(self) -> Self:
        if sum(item.python is not None for item in self.backends) > 1:
            raise ValueError(ONE_PYTHON)
        ports = [item.container.port for item in self.backends if item.container is not None]
        if any(port is not None and ports.count(port) > 1 for port in ports):
            raise ValueError(ONE_PORT)
        return self

    @model_validator(mode="after")
    def _known_volumes(self) -> Self:
        volumes = {volume.name for volume in self.pod.volumes}
        mounts = {mount.name for item in self.backends for mount in item.volume_mounts}
        if unknown := sorted(mounts - volumes):
            raise ValueError(f"no volume {', '.join(unknown)}: {UNKNOWN_VOLUME}")
        return self

    @model_validator(mode="after")
    def _known_backends(self) -> Self:
        known = {item.name for item in self.backends}
        meant = {name for policy in self.access.policies for name in policy.backends}
        if unknown := sorted(name for name in meant - known if "*" not in name):
            raise ValueError(f"no backend {', '.join(unknown)}: {UNKNOWN_BACKEND}")
        return self

    @model_validator(mode="after")
    def _no_duplicates(self) -> Self:
        """Refuse what the API server refuses in its list-maps, for manifests it has never seen."""
        lists = {"pod.volumes": [volume.name for volume in self.pod.volumes]}
        lists["backends"] = [item.name for item in self.backends]
        for item in self.backends:
            where = f"backends[{item.name}].{item.kind}"
            lists[f"{where}.env"] = [var.name for var in item.env]
            lists[f"{where}.volumeMounts"] = [mount.mount_path for mount in item.volume_mounts]
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
    is_scaled_by_others: bool = False
    """Whether an autoscaler that is not ours decides how many pods there are."""

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
        own = {make(self.name) for make in (names.key_secret, names.live, names.internal)}
        if self.spec.access.keys.secret_name in own | {names.certificate(self.name)}:
            faults.append(Fault("spec.access.keys.secretName", WRITTEN_BY_US))
        if self.certificate_secret in own:
            faults.append(Fault("spec.expose.certificate.secretName", CERTIFICATE_BY_US))
        return faults

    @property
    def wanted_replicas(self) -> int:
        """How many pods there should be now, where a manifest says it: at first, by load."""
        if self.spec.suspend:
            return 0
        scaling = self.spec.autoscaling
        if scaling is None:
            return self.spec.replicas
        return max(scaling.min, min(self.spec.replicas, scaling.max))

    @property
    def is_autoscaled(self) -> bool:
        """Whether load decides how many pods there are."""
        is_scaled = self.spec.autoscaling is not None or self.is_scaled_by_others
        return is_scaled and not self.spec.suspend

    @property
    def tls(self) -> Certificate | None:
        """The certificate that pods end TLS with; None: they do not."""
        expose = self.spec.expose
        return expose.certificate if expose is not None and expose.in_pod else None

    @property
    def certificate_secret(self) -> str | None:
        """The Secret with the certificate of the host; None: it has none."""
        certificate = self.spec.expose.certificate if self.spec.expose is not None else None
        if certificate is None:
            return None
        return certificate.secret_name or names.certificate(self.name)
