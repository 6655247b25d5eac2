"""The parts of a pod that users may choose."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from breakwater_contract.model import Model
from breakwater_contract.rules import atomic, list_map, rule, rules
from breakwater_operator.api.fields import Port
from breakwater_operator.api.labels import (
    RESERVED,
    AnnotationValue,
    LabelKey,
    LabelValue,
    reserved,
    reserved_rule,
)
from breakwater_operator.api.placement import Placement
from breakwater_operator.api.resources import Resources
from breakwater_operator.api.scaling import Disruption
from breakwater_operator.api.volumes import Volume

Id = Annotated[int, Field(ge=1, le=2_147_483_647)]
"""A user or a group; 0 is root, which no server is."""


class PodSecurity(Model):
    """As whom the processes run. All else of a pod's security is fixed, as strict as can be."""

    run_as_user: Id | None = None
    """The user; absent: 65532."""
    run_as_group: Id | None = None
    """The group; absent: 65532."""
    fs_group: Id | None = None
    """The group that owns volumes; absent: 65532."""
    fs_group_change_policy: Literal["OnRootMismatch", "Always"] = "OnRootMismatch"
    """Whether every file of a volume is given to that group at each start."""


class PodSpec(Model):
    """What the pods get."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(reserved_rule("labels"), RESERVED, ".labels"),
            rule(reserved_rule("annotations"), RESERVED, ".annotations"),
        )
    )

    labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=32)] = Field(
        default_factory=dict
    )
    """More labels of the pods."""
    annotations: Annotated[dict[LabelKey, AnnotationValue], Field(max_length=32)] = Field(
        default_factory=dict
    )
    """More annotations of the pods."""
    volumes: Annotated[
        tuple[Volume, ...], Field(max_length=32, json_schema_extra=list_map("name"))
    ] = ()
    """Volumes that backends can mount by name."""
    resources: Resources = Resources()
    """CPU, memory and disk of the runtime's container."""
    placement: Placement = Placement()
    """Where they run."""
    security_context: PodSecurity = PodSecurity()
    """As whom their processes run."""
    known_listeners: Annotated[tuple[Port, ...], atomic(32)] = ()
    """Ports of the pods that may be open to other pods, such as those of a service mesh's sidecar.
    Any other open port keeps a pod with a container backend that has a `port` from getting
    ready."""
    disruption: Disruption | None = None
    """How many may be missing while nodes are drained. Absent: one at a time."""

    @model_validator(mode="after")
    def _own_keys(self) -> Self:
        if taken := sorted(filter(reserved, {**self.labels, **self.annotations})):
            raise ValueError(f"{', '.join(taken)}: {RESERVED}")
        return self
