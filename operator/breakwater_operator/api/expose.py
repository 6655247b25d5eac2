"""How clients from outside the cluster reach a server."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, model_validator

from breakwater_contract.model import Model
from breakwater_contract.rules import exactly_one_set, rule, rules
from breakwater_contract.shapes import Shape
from breakwater_operator.api.fields import DNS_LABEL, DNS_SUBDOMAIN, DnsSubdomain

GATEWAY_SHAPE = "write namespace/name of a Gateway, as in infra/public"
ONE_SOURCE = "write issuer, for a certificate by cert-manager, or secretName, for one of your own"
ONE_WAY = "write gateway or ingressClassName, not both"
KIND_OF_ISSUER = "issuerKind goes with issuer; remove it"
TLS_ELSEWHERE = "the Gateway or Ingress decides about TLS; remove certificate.minVersion"

NAME_IN_FRONT = (
    "a Gateway or an Ingress tells servers apart by their names; write a host name in place of the "
    "address, as in mcp.example"
)

HOST_SHAPE = "write one host name in lower case, without scheme, port and '*', as in mcp.example"

HostName = Annotated[str, Shape(DNS_SUBDOMAIN, 253, HOST_SHAPE)]

LABEL = DNS_LABEL.strip("^$")
GatewayName = Annotated[str, Shape(rf"^{LABEL}/{LABEL}(\.{LABEL})*$", 317, GATEWAY_SHAPE)]


class Certificate(Model):
    """Where the certificate of the host comes from."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.issuer) != has(self.secretName)", ONE_SOURCE),
            rule("!has(self.issuerKind) || has(self.issuer)", KIND_OF_ISSUER, ".issuerKind"),
        )
    )

    issuer: DnsSubdomain | None = None
    """An issuer of cert-manager, which makes and renews it."""
    issuer_kind: Literal["ClusterIssuer", "Issuer"] | None = None
    """Whether that is of the whole cluster or of this namespace; absent: ClusterIssuer."""
    secret_name: DnsSubdomain | None = None
    """A Secret of type kubernetes.io/tls in the namespace of the server."""
    min_version: Literal["1.2", "1.3"] | None = None
    """The oldest version of TLS that pods speak; absent: 1.3. Only where these end TLS."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        exactly_one_set(ONE_SOURCE, self.issuer, self.secret_name)
        if self.issuer_kind is not None and self.issuer is None:
            raise ValueError(KIND_OF_ISSUER)
        return self


class Expose(Model):
    """How clients from outside the cluster reach the server.

    With `certificate` alone the pods themselves speak TLS. Without any of `gateway`,
    `ingressClassName` and `certificate` the platform's Gateway leads to the server.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("!has(self.gateway) || !has(self.ingressClassName)", ONE_WAY),
            rule(
                "!has(self.certificate) || !has(self.certificate.minVersion) || "
                "(!has(self.gateway) && !has(self.ingressClassName))",
                TLS_ELSEWHERE,
                ".certificate",
            ),
            rule(
                "!isIP(self.host) || (has(self.certificate) && !has(self.gateway) && "
                "!has(self.ingressClassName))",
                NAME_IN_FRONT,
                ".host",
            ),
        )
    )

    host: HostName
    """The name that clients use, as in `mcp.example`; where pods end TLS, an IPv4 address too. It
    is one server's: another one that exposes it through the same Gateway or Ingress class is told
    so (`HostTaken`)."""
    gateway: GatewayName | None = None
    """A Gateway that leads to the server by an HTTPRoute, as `namespace/name`. It ends TLS."""
    ingress_class_name: DnsSubdomain | None = None
    """A class of Ingress that leads to the server instead."""
    certificate: Certificate | None = None
    """The certificate of the host: for the Ingress, for the Gateway to refer to, or for the
    pods."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.gateway is not None and self.ingress_class_name is not None:
            raise ValueError(ONE_WAY)
        if self.certificate is not None and self.certificate.min_version and not self.in_pod:
            raise ValueError(TLS_ELSEWHERE)
        if not self.in_pod and self.address is not None:
            raise ValueError(NAME_IN_FRONT)
        return self

    @property
    def address(self) -> IPv4Address | IPv6Address | None:
        """The host where it is an address; None: it is a name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @property
    def in_pod(self) -> bool:
        """Whether the pods themselves end TLS."""
        in_front = self.gateway is not None or self.ingress_class_name is not None
        return self.certificate is not None and not in_front
