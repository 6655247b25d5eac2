"""Environment variables of containers."""

from typing import Any

from breakwater_operator.api.variables import EnvVar


def variable(chosen: EnvVar) -> dict[str, Any]:
    """Write a variable as Kubernetes has it."""
    source = chosen.value_from
    if source is None:
        # An empty value is not kept by the API server, and means the same.
        return {"name": chosen.name, **({"value": chosen.value} if chosen.value else {})}
    given = source.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {"name": chosen.name, "valueFrom": given}
