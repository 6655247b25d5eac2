"""How many pods there are: by hand, by load, and while nodes are drained."""

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from breakwater_contract.model import Model
from breakwater_contract.rules import exactly_one_set, rule, rules
from breakwater_contract.shapes import matches
from breakwater_contract.units import Between, Duration

PERCENT = r"^(100|[1-9]?[0-9])%$"
PODS_OR_PERCENT = "write a number of pods from 0 to 1000, or a part of them as in 25%"
MIN_OVER_MAX = "min is above max; lower min or raise max"
NO_STEP = "write pods, percent or both"
ONE_BUDGET = "write exactly one of maxUnavailable and minAvailable"


def _pods_or_percent(value: object) -> int | str:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1000
    if is_count or (isinstance(value, str) and matches(PERCENT, value)):
        return value  # type: ignore[return-value]  # both branches have looked
    raise ValueError(PODS_OR_PERCENT)


PodsOrPercent = Annotated[
    Any,
    BeforeValidator(_pods_or_percent),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "maxLength": 8,
            **rules(
                rule(
                    f"type(self) == int ? (self >= 0 && self <= 1000) : self.matches('{PERCENT}')",
                    PODS_OR_PERCENT,
                )
            ),
        }
    ),
]

Target = Annotated[int, Field(ge=1, le=1000)]


class Pace(Model):
    """How fast the number of pods may change in one direction."""

    model_config = ConfigDict(
        json_schema_extra=rules(rule("has(self.pods) || has(self.percent)", NO_STEP))
    )

    pods: Annotated[int, Field(ge=1, le=1000)] | None = None
    """So many pods in each period."""
    percent: Annotated[int, Field(ge=1, le=1000)] | None = None
    """So many percent of them in each period; with `pods` beside it the larger step counts."""
    period: Annotated[Duration, Between("1s", "30m")] = Duration("1m")
    """The period, from 1s to 30m."""
    stabilization: Annotated[Duration, Between("0s", "1h")] | None = None
    """For how long the past counts, so that the number does not swing: at most 1h. Absent: 0s up,
    5m down."""

    @model_validator(mode="after")
    def _steps(self) -> Self:
        if self.pods is None and self.percent is None:
            raise ValueError(NO_STEP)
        return self


class Autoscaling(Model):
    """How many pods there are, by load. `replicas` is then only what a server starts with."""

    model_config = ConfigDict(json_schema_extra=rules(rule("self.min <= self.max", MIN_OVER_MAX)))

    min: Annotated[int, Field(ge=1, le=1000)] = 2
    """The least."""
    max: Annotated[int, Field(ge=1, le=1000)] = 10
    """The most."""
    cpu: Target | None = None
    """Percent of the requested cpu that pods should use. With neither this nor `memory`: 70."""
    memory: Target | None = None
    """Percent of the requested memory that they should use. With neither this nor `cpu`: 80."""
    scale_up: Pace | None = None
    """How fast pods are added. Absent: they double, or 4 are added, every 15s."""
    scale_down: Pace | None = None
    """How fast they are taken away. Absent: all at once, once the load of 5m is below."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.min > self.max:
            raise ValueError(MIN_OVER_MAX)
        return self


class Disruption(Model):
    """How many pods may be missing while nodes are drained. Absent: one at a time."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.maxUnavailable) != has(self.minAvailable)", ONE_BUDGET)
        )
    )

    max_unavailable: PodsOrPercent | None = None
    """So many may be missing, as in `1` or `25%`."""
    min_available: PodsOrPercent | None = None
    """So many must stay, as in `2` or `50%`."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one_set(ONE_BUDGET, self.max_unavailable, self.min_available)
        return self
