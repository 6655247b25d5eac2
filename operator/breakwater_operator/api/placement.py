"""Where pods run."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from breakwater_contract.model import Model
from breakwater_contract.rules import atomic, list_map, rule, rules
from breakwater_operator.api.fields import DnsSubdomain
from breakwater_operator.api.labels import LabelKey, LabelValue, Selector

NO_VALUE = "operator Exists takes no value; remove value, or write operator: Equal"
NO_KEY = "a toleration without a key is for every taint; write operator: Exists, or add the key"
ONLY_NO_EXECUTE = "tolerationSeconds is for effect: NoExecute; add that, or remove it"
VALUES = (
    "write one value or more for In and NotIn, one whole number for Gt and Lt, none for the others"
)
SYSTEM_CLASS = "classes that begin with system- are for the cluster itself; name another one"


class Toleration(Model):
    """A taint that the pods' nodes may have."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self.operator != 'Exists' || !has(self.value)", NO_VALUE),
            rule("has(self.key) || self.operator == 'Exists'", NO_KEY),
            rule(
                "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
                ONLY_NO_EXECUTE,
            ),
        )
    )

    key: LabelKey | None = None
    """Of the taint; absent: every taint."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """Whether its value counts."""
    value: LabelValue | None = None
    """Of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Of the taint; absent: every effect."""
    toleration_seconds: Annotated[int, Field(ge=0, le=86_400_000)] | None = None
    """How long a pod stays on a node that gets the taint; absent: for ever."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.operator == "Exists" and self.value is not None:
            raise ValueError(NO_VALUE)
        if self.key is None and self.operator != "Exists":
            raise ValueError(NO_KEY)
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError(ONLY_NO_EXECUTE)
        return self


class NodeRequirement(Model):
    """What a label of a node must be like."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : "
                "(self.operator in ['Gt', 'Lt'] ? has(self.values) && size(self.values) == 1 && "
                "self.values[0].matches('^[0-9]{1,18}$') : "
                "!has(self.values) || size(self.values) == 0)",
                VALUES,
            )
        )
    )

    key: LabelKey
    """The label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = "In"
    """How its value is compared."""
    values: Annotated[tuple[LabelValue, ...], atomic(32)] = ()
    """With what."""

    @model_validator(mode="after")
    def _values(self) -> Self:
        count, numeric = len(self.values), all(value.isdecimal() for value in self.values)
        right = {
            "In": count > 0,
            "NotIn": count > 0,
            "Gt": count == 1 and numeric and self.values[0].isascii() and len(self.values[0]) <= 18,
            "Lt": count == 1 and numeric and self.values[0].isascii() and len(self.values[0]) <= 18,
        }
        if not right.get(self.operator, count == 0):
            raise ValueError(VALUES)
        return self


class NodePreference(NodeRequirement):
    """What a node should rather be like."""

    weight: Annotated[int, Field(ge=1, le=100)] = 50
    """How much this counts against other preferences."""


class Spread(Model):
    """Over what the pods are spread."""

    topology_key: LabelKey
    """The label whose values are the places, as in `topology.kubernetes.io/zone`."""
    max_skew: Annotated[int, Field(ge=1, le=100)] = 1
    """By how many pods places may differ."""
    when_unsatisfiable: Literal["ScheduleAnyway", "DoNotSchedule"] = "ScheduleAnyway"
    """Whether a pod that cannot be placed so is placed otherwise, or waits."""


class Placement(Model):
    """Where pods run. Absent: anywhere, spread over nodes and zones as far as possible."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.priorityClassName) || !self.priorityClassName.startsWith('system-')",
                SYSTEM_CLASS,
                ".priorityClassName",
            )
        )
    )

    node_selector: Selector = Field(default_factory=dict)
    """Labels that nodes must have."""
    required_nodes: Annotated[tuple[NodeRequirement, ...], atomic(16)] = ()
    """What nodes must be like, all of it."""
    preferred_nodes: Annotated[tuple[NodePreference, ...], atomic(16)] = ()
    """What nodes should rather be like."""
    tolerations: Annotated[tuple[Toleration, ...], atomic(16)] = ()
    """Taints that nodes may have."""
    topology_spread: Annotated[
        tuple[Spread, ...],
        Field(max_length=8, json_schema_extra=list_map("topologyKey", "whenUnsatisfiable")),
    ] = ()
    """Over what they are spread. Absent: over nodes and zones, as far as possible."""
    priority_class_name: DnsSubdomain | None = None
    """Who goes first when room is short."""

    @model_validator(mode="after")
    def _class(self) -> Self:
        if (self.priority_class_name or "").startswith("system-"):
            raise ValueError(SYSTEM_CLASS)
        keys = [(each.topology_key, each.when_unsatisfiable) for each in self.topology_spread]
        if len(set(keys)) != len(keys):
            raise ValueError("topologySpread has the same key twice; keep one of them")
        return self
