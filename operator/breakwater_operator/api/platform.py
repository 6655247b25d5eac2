"""What the platform's owner decides for all servers: the operator's own configuration."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from breakwater_contract.model import Model
from breakwater_operator.api.fields import DnsLabel, DnsSubdomain, ImageReference
from breakwater_operator.api.parse import parse

PullPolicy = Literal["Always", "IfNotPresent", "Never"]


class Images(Model):
    """Where images come from."""

    runtime: ImageReference
    """The runtime image of servers that name none themselves."""
    pull_policy: PullPolicy = "IfNotPresent"
    """When kubelet pulls images of servers."""
    pull_secrets: Annotated[tuple[DnsSubdomain, ...], Field(max_length=16)] = ()
    """Secrets with registry credentials; they must exist in the namespace of each server."""


class Platform(Model):
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
