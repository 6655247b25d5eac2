"""Environment variables of backends, and where their values come from."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from breakwater_contract.model import Model
from breakwater_contract.rules import exactly_one, list_map, rule, rules
from breakwater_operator.api.fields import DataKey, DnsSubdomain, EnvName

ONE_VALUE = "write value or valueFrom, not both"
NO_NUL = "the value of a variable cannot hold the character NUL; take it out"
ONE_REFERENCE = "write exactly one of secretKeyRef and configMapKeyRef"

# A pattern, since as CEL it would exceed the API server's budget; only the CRD gets it, since
# pydantic would show the value, which may be a secret.
EnvValue = Annotated[str, Field(max_length=32768, json_schema_extra={"pattern": r"^[^\x00]*$"})]


class KeyReference(Model):
    """One entry of a Secret or ConfigMap in the namespace of the server."""

    name: DnsSubdomain
    """Name of the Secret or ConfigMap."""
    key: DataKey
    """The entry of its data."""
    optional: bool = False
    """Whether pods start, without the variable, when the object or the entry is missing."""


class EnvSource(Model):
    """Where the value of a variable comes from. Exactly one of its members is set."""

    model_config = ConfigDict(
        json_schema_extra=rules(rule(exactly_one("secretKeyRef", "configMapKeyRef"), ONE_REFERENCE))
    )

    secret_key_ref: KeyReference | None = None
    """An entry of a Secret; pods read it when they start, and a change of it replaces them."""
    config_map_key_ref: KeyReference | None = None
    """An entry of a ConfigMap; pods read it when they start, and a change of it replaces them."""

    @model_validator(mode="after")
    def _one_reference(self) -> Self:
        if (self.secret_key_ref is None) == (self.config_map_key_ref is None):
            raise ValueError(ONE_REFERENCE)
        return self


class EnvVar(Model):
    """An environment variable of a backend."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("!(has(self.value) && has(self.valueFrom))", ONE_VALUE),
        )
    )

    name: EnvName
    """Name of the variable."""
    value: EnvValue | None = None
    """Its value. `$(OTHER)` stands for the value of a variable further up, `$$` for a dollar."""
    value_from: EnvSource | None = None
    """Where its value comes from, instead of `value`."""

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        if self.value is not None and self.value_from is not None:
            raise ValueError(ONE_VALUE)
        # Said of the variable rather than of its value, which may be a secret and would be shown.
        if "\0" in (self.value or ""):
            raise ValueError(f"value: {NO_NUL}")
        return self


Variables = Annotated[tuple[EnvVar, ...], Field(max_length=64, json_schema_extra=list_map("name"))]
