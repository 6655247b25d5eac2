"""What a pod is promised, and what it may use at most."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from breakwater_contract.model import Model
from breakwater_contract.rules import rule, rules
from breakwater_operator.api.quantity import Bytes, Cpu, amount

REQUEST_OVER_LIMIT = "requests.{0} is above limits.{0}; lower the request or raise the limit"


class Amounts(Model):
    """Amounts of what a node has."""

    cpu: Cpu | None = None
    """Processors: `500m` is half of one."""
    memory: Bytes | None = None
    """Memory, as in `512Mi`."""
    ephemeral_storage: Annotated[Bytes | None, Field(alias="ephemeral-storage")] = None
    """Disk of the node for logs, `/tmp` and emptyDir volumes, as in `1Gi`."""


def _within_limits(resource: str) -> str:
    """Write in CEL that a request is no larger than the limit of the same resource."""
    name = resource.replace("-", "__dash__")
    request, limit = f"self.requests.{name}", f"self.limits.{name}"
    return (
        f"!has(self.requests) || !has(self.limits) || !has({request}) || !has({limit}) || "
        f"!isQuantity(string({request})) || !isQuantity(string({limit})) || "
        f"quantity(string({request})).compareTo(quantity(string({limit}))) <= 0"
    )


RESOURCES = {"cpu": "cpu", "memory": "memory", "ephemeral-storage": "ephemeral_storage"}
"""Names of resources, and of their fields in Python."""


class Resources(Model):
    """What a pod is promised and what it may use at most.

    A resource that is named in neither keeps the defaults: cpu 100m requested, memory 128Mi
    requested and 512Mi at most.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            *(rule(_within_limits(name), REQUEST_OVER_LIMIT.format(name)) for name in RESOURCES)
        )
    )

    requests: Amounts = Amounts()
    """What the scheduler sets aside for the pod."""
    limits: Amounts = Amounts()
    """What the pod may use at most; above its memory limit it is killed, above cpu slowed down."""

    @model_validator(mode="after")
    def _requests_within_limits(self) -> Self:
        for name, field in RESOURCES.items():
            request, limit = getattr(self.requests, field), getattr(self.limits, field)
            if request and limit and amount(request) > amount(limit):
                raise ValueError(REQUEST_OVER_LIMIT.format(name))
        return self
