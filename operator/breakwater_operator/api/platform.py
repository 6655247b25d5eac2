"""What the platform's owner decides for all servers: the operator's own configuration."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from breakwater_contract.model import Model
from breakwater_contract.monitoring import Collector
from breakwater_contract.rules import atomic
from breakwater_contract.shared_rates import RateStore
from breakwater_operator.api.expose import GatewayName
from breakwater_operator.api.fields import DnsLabel, DnsSubdomain, ImageReference
from breakwater_operator.api.labels import LabelKey, LabelValue
from breakwater_operator.api.network import EgressRule, Peer
from breakwater_operator.api.parse import parse
from breakwater_operator.api.resources import Resources

PullPolicy = Literal["Always", "IfNotPresent", "Never"]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Patterns = Annotated[tuple[Pattern, ...], atomic(256)]
VolumeType = Literal["persistentVolumeClaim", "configMap", "emptyDir"]


class Images(Model):
    """Where images come from."""

    runtime: ImageReference
    """The runtime image of servers that name none themselves."""
    pull_policy: PullPolicy = "IfNotPresent"
    """When kubelet pulls images of servers."""
    pull_secrets: Annotated[tuple[DnsSubdomain, ...], Field(max_length=16)] = ()
    """Secrets with registry credentials; they must exist in the namespace of each server."""


class Network(Model):
    """Who may reach servers, and whom every server may reach, whatever its manifest says."""

    gateways: Annotated[tuple[Peer, ...], atomic(16)] = ()
    """Pods of gateways and ingress controllers: they reach the public port of servers that narrow
    who may."""
    prometheus: Annotated[tuple[Peer, ...], atomic(16)] = (
        Peer(namespace_labels={}, pod_labels={"app.kubernetes.io/name": "prometheus"}),
    )
    """Pods that scrape the management port. Absent: those with the label
    `app.kubernetes.io/name: prometheus`, of any namespace."""
    egress: Annotated[tuple[EgressRule, ...], atomic(32)] = ()
    """What every server may connect to: collectors of traces, shared stores."""


class Allowed(Model):
    """What manifests may name. `*` stands for any characters; an empty list allows everything."""

    registries: Patterns = ()
    """Images, as in `registry.example/team/*`."""
    issuers: Patterns = ()
    """OAuth issuers of `access.jwt`."""
    certificate_issuers: Patterns = ()
    """Issuers of certificates, by their names."""
    gateways: Patterns = ()
    """Gateways, as `namespace/name`."""
    ingress_classes: Patterns = ()
    """Classes of Ingress."""
    hosts: Patterns = ()
    """Host names of `expose.host`, as in `*.apps.example`. `{namespace}` stands for the namespace
    of the server."""
    volumes: Annotated[tuple[VolumeType, ...], atomic(3)] = ()
    """Kinds of volumes."""
    networks: Patterns = ()
    """Networks that `egressRules` may open and remote backends may be in, each with all that is
    in it, as in `10.0.0.0/8`."""
    remotes: Patterns = ()
    """Hosts of remote backends, as in `*.svc` or `mcp.example`."""
    internet: bool = True
    """Whether `egress: Internet` may be written."""
    priority_classes: Patterns = ()
    """Priority classes."""
    pod_labels: Patterns = ()
    """Keys of `pod.labels`."""
    pod_annotations: Patterns = ()
    """Keys of `pod.annotations`."""
    anonymous: bool = True
    """Whether `access.insecureAnonymous` may be true."""


class PlatformMonitoring(Model):
    """What the platform's monitoring wants to find."""

    labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=16)] = Field(
        default_factory=dict
    )
    """Labels of ServiceMonitors and PodMonitors, by which Prometheus selects them."""
    otlp: Collector | None = None
    """Where servers send traces, and metrics where it says how often; absent: nowhere."""


class PlatformRates(RateStore):
    """A Redis or Valkey in which the replicas of each server count requests together."""

    tls: bool = False
    """Whether it is spoken to over TLS."""
    secret_name: DnsSubdomain | None = None
    """A Secret with the entries `password`, and where they are needed `username` and `ca.crt`. It
    must exist in the namespace of each server, whose pods use what stands there."""


class PlatformChoices(Model):
    """What the platform's owner chooses: `platform` in the chart's values."""

    operator_class: DnsSubdomain | None = None
    """The `spec.operatorClass` of the servers that are looked after; absent: those without one."""
    gateway: GatewayName | None = None
    """The Gateway of servers that are exposed and name none."""
    resources: Resources = Resources()
    """CPU, memory and disk of pods whose manifest says nothing about them."""
    network: Network = Network()
    """Who may reach servers, and whom they may reach."""
    monitoring: PlatformMonitoring = PlatformMonitoring()
    """What monitoring wants to find."""
    shared_rates: PlatformRates | None = None
    """Where the replicas of a server count the requests of principals and the calls of tools
    together; absent: each replica counts for itself."""
    allowed: Allowed = Allowed()
    """What manifests may name."""


class Platform(PlatformChoices):
    """The operator's configuration file."""

    namespace: DnsLabel
    """The namespace that the operator runs in."""
    instance: Annotated[DnsLabel, StringConstraints(max_length=40)] = "breakwater"
    """Tells two installations in one cluster apart."""
    watch_namespaces: Annotated[tuple[DnsLabel, ...], Field(max_length=256)] = ()
    """Namespaces whose servers are looked after; empty means all."""
    cluster_domain: DnsSubdomain = "cluster.local"
    """The DNS domain of the cluster."""
    images: Images
    """Where images come from."""

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> "Platform":
        """Read the content of a configuration file.

        Raises:
            SpecError: With every fault of the file.
        """
        return parse(cls, content)
