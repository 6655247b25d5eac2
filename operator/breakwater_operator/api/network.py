"""Who may reach a server's pods, and whom these may reach."""

from ipaddress import ip_network
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from breakwater_contract.model import Model
from breakwater_contract.networks import Cidr
from breakwater_contract.rules import atomic, exactly_one_set, rule, rules
from breakwater_operator.api.fields import Port
from breakwater_operator.api.labels import Selector

NO_LABELS = "write namespaceLabels, podLabels or both"
ONE_DESTINATION = "write cidr, or labels of namespaces and pods, not both"
NOT_WITHIN = (
    "write smaller networks within cidr, as in 10.1.0.0/16, and a cidr with a prefix, as in "
    "10.0.0.0/8"
)
PORT_RANGE = "endPort is below port; write the last port of the range"

Egress = Literal["None", "Internet"]


class Peer(Model):
    """Pods, by their labels and those of their namespace."""

    model_config = ConfigDict(
        json_schema_extra=rules(rule("has(self.namespaceLabels) || has(self.podLabels)", NO_LABELS))
    )

    namespace_labels: Selector | None = None
    """Labels that the namespace has; `{}` is every namespace, absent the server's own."""
    pod_labels: Selector | None = None
    """Labels that the pods have; absent or `{}` is every pod."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.namespace_labels is None and self.pod_labels is None:
            raise ValueError(NO_LABELS)
        return self


class PortRange(Model):
    """A port, or several in a row."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("!has(self.endPort) || self.endPort >= self.port", PORT_RANGE, ".endPort")
        )
    )

    port: Port
    """The port of the pod or address that is reached: not that of a Service in front of it."""
    end_port: Port | None = None
    """The last one, where there are several."""
    protocol: Literal["TCP", "UDP"] = "TCP"
    """What is spoken."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.end_port is not None and self.end_port < self.port:
            raise ValueError(PORT_RANGE)
        return self


class EgressRule(Model):
    """Somewhere that the pods may connect to: a network, or pods by their labels."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.cidr) != (has(self.namespaceLabels) || has(self.podLabels))",
                ONE_DESTINATION,
            ),
            rule(
                "!has(self.except) || size(self.except) == 0 || (has(self.cidr) && "
                "isCIDR(self.cidr) && self.except.all(one, isCIDR(one) && "
                "cidr(self.cidr).containsCIDR(one) && "
                "cidr(one).prefixLength() > cidr(self.cidr).prefixLength()))",
                NOT_WITHIN,
                ".except",
            ),
        )
    )

    cidr: Cidr | None = None
    """A network or an address."""
    except_: Annotated[tuple[Cidr, ...], atomic(16)] = Field(default=(), alias="except")
    """Networks within it that stay closed."""
    namespace_labels: Selector | None = None
    """Labels that the namespace has; `{}` is every namespace, absent the server's own."""
    pod_labels: Selector | None = None
    """Labels that the pods have; absent or `{}` is every pod."""
    ports: Annotated[tuple[PortRange, ...], atomic(32)] = ()
    """Which ports; absent: all."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        labels = None if self.namespace_labels is None and self.pod_labels is None else self
        exactly_one_set(ONE_DESTINATION, self.cidr, labels)
        if self.except_ and not self._excepts_within():
            raise ValueError(NOT_WITHIN)
        return self

    def _excepts_within(self) -> bool:
        if self.cidr is None or "/" not in self.cidr or any("/" not in it for it in self.except_):
            return False
        whole = ip_network(self.cidr)
        parts = [ip_network(part) for part in self.except_]
        return all(
            part.version == whole.version
            and part.prefixlen > whole.prefixlen
            and part.network_address in whole
            for part in parts
        )
