"""What a manifest says about the tools of a backend."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from breakwater_contract.gateway import (
    RENAMED_TWICE,
    ArgumentName,
    BackendTools,
    ToolLooks,
    ToolOverride,
    ToolRules,
    once,
    renamed_once,
)
from breakwater_contract.model import Model
from breakwater_contract.rules import atomic, exactly_one, exactly_one_set, list_map, rule, rules

ONE_VALUE = "write exactly one of text, number, flag and texts (a list)"

Text = Annotated[str, StringConstraints(max_length=4096)]


class FixedArgument(Model):
    """An argument that callers neither see nor set."""

    model_config = ConfigDict(
        json_schema_extra=rules(rule(exactly_one("text", "number", "flag", "texts"), ONE_VALUE))
    )

    name: ArgumentName
    """The argument."""
    text: Text | None = None
    """Its value, if that is a text."""
    number: Annotated[int, Field(ge=-(2**53), le=2**53)] | None = None
    """Its value, if that is a whole number."""
    flag: bool | None = None
    """Its value, if that is true or false."""
    texts: Annotated[tuple[Text, ...], atomic(32)] | None = None
    """Its value, if that is a list of texts."""

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        exactly_one_set(ONE_VALUE, self.text, self.number, self.flag, self.texts)
        return self

    @property
    def content(self) -> str | int | bool | list[str] | None:
        """The value itself."""
        if self.texts is not None:
            return list(self.texts)
        return next(it for it in (self.text, self.number, self.flag) if it is not None)


class Override(ToolLooks):
    """What is changed about one tool."""

    arguments: Annotated[
        tuple[FixedArgument, ...], Field(max_length=16, json_schema_extra=list_map("name"))
    ] = ()
    """Arguments that always have these values. Callers do not see them; whoever sends one is
    refused."""


class Tools(ToolRules):
    """What of a backend's tools is shown, and how."""

    overrides: Annotated[
        tuple[Override, ...],
        Field(
            max_length=64,
            json_schema_extra=list_map(
                "name",
                rule=rule(
                    "self.all(one, !has(one.rename) || "
                    "self.exists_one(other, has(other.rename) && other.rename == one.rename))",
                    RENAMED_TWICE,
                ),
            ),
        ),
    ] = ()
    """What is changed about single tools."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        once(self.overrides, "name", "two overrides are of the tool {}")
        renamed_once(self.overrides)
        for override in self.overrides:
            once(override.arguments, "name", "two arguments are called {}")
        return self

    def for_runtime(self, backend: str) -> BackendTools:
        """Make what the runtime is told."""
        overrides = (
            ToolOverride(
                **{name: getattr(each, name) for name in ToolLooks.model_fields},
                arguments={argument.name: argument.content for argument in each.arguments},
            )
            for each in self.overrides
        )
        rules_said = {name: getattr(self, name) for name in ToolRules.model_fields}
        return BackendTools(backend=backend, overrides=tuple(overrides), **rules_said)
