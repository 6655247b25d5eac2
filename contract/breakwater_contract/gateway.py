"""Several backends behind one endpoint, and what each of them shows of its tools."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator

from breakwater_contract.access import Pattern
from breakwater_contract.backends import BackendName
from breakwater_contract.model import Model
from breakwater_contract.rules import atomic
from breakwater_contract.shapes import Shape

TOOL_NAME_SHAPE = "write letters, digits, '_', '-', '.' and '/', as in get_contact"
RENAMED_TWICE = "two overrides rename a tool to the same name; choose another for one of them"
PREFIX_SHAPE = "write letters, digits, '_', '-' and '.', as in crm_; empty for none"

ToolName = Annotated[str, Shape(r"^[A-Za-z0-9_./-]+$", 128, TOOL_NAME_SHAPE)]
Prefix = Annotated[str, Shape(r"^[A-Za-z0-9_.-]*$", 64, PREFIX_SHAPE)]
ArgumentName = Annotated[str, Field(min_length=1, max_length=128)]


class Gateway(Model):
    """How several backends are served as one server."""

    catalogue: Literal["Merged", "OnDemand", "Both"] = "Both"
    """Which tools clients are listed: those of all backends (`Merged`); `list_servers`,
    `get_server_tools` and `execute_tool`, by which they find and call the others (`OnDemand`); or
    both."""
    ready: Literal["Any", "All"] = "Any"
    """Whether a pod takes requests once any of its backends can answer, or once all can."""


class ToolHints(Model):
    """What clients are told of a tool's behaviour, in place of what its backend says."""

    read_only_hint: bool | None = None
    """Whether it changes nothing."""
    destructive_hint: bool | None = None
    """Whether its changes may destroy something."""
    idempotent_hint: bool | None = None
    """Whether a second call with the same arguments changes nothing more."""
    open_world_hint: bool | None = None
    """Whether it deals with what nobody here controls, such as the Internet."""


class ToolLooks(Model):
    """How one tool looks to callers."""

    name: ToolName
    """The tool, as its backend calls it."""
    rename: ToolName | None = None
    """What it is called instead; the prefix of the backend comes before it."""
    title: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """A name for people, in place of the backend's."""
    description: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """What models and people are told of it, in place of what the backend says."""
    annotations: ToolHints | None = None
    """What clients are told of its behaviour; what is not set here stays as the backend says it."""


class ToolOverride(ToolLooks):
    """What is changed about one tool."""

    arguments: Annotated[dict[ArgumentName, JsonValue], Field(max_length=32)] = Field(default={})
    """Arguments that always have these values. Callers do not see them; whoever sends one is
    refused."""


class ToolRules(Model):
    """What of a backend's tools is shown."""

    prefix: Prefix | None = None
    """What stands before the names of its tools and prompts. Absent: the backend's name and `_`
    where there are several backends, nothing where there is one."""
    allow: Annotated[tuple[Pattern, ...], atomic(256)] = ()
    """Tools that are shown and may be called, as the backend calls them; `*` stands for any
    characters. Empty: all."""
    deny: Annotated[tuple[Pattern, ...], atomic(256)] = ()
    """Tools that are neither, whatever `allow` says."""
    expected: Annotated[tuple[ToolName, ...], atomic(128)] = ()
    """Tools that must be there, as the backend calls them; a missing one is told in the status."""


class Tools(ToolRules):
    """What of a backend's tools is shown, and how."""

    overrides: Annotated[tuple[ToolOverride, ...], Field(max_length=128)] = ()
    """What is changed about single tools."""

    @model_validator(mode="after")
    def _names_differ(self) -> "Tools":
        once(self.overrides, "name", "two overrides are of the tool {}")
        renamed_once(self.overrides)
        return self


def renamed_once(looks: Sequence[ToolLooks]) -> None:
    """Refuse two tools that are renamed to one name.

    Raises:
        ValueError: There are two.
    """
    renamed = [each.rename for each in looks if each.rename is not None]
    for name in renamed:
        if renamed.count(name) > 1:
            raise ValueError(f"{name}: {RENAMED_TWICE}")


def once(items: object, member: str, message: str) -> None:
    """Refuse a list in which two items have the same value of a member.

    Raises:
        ValueError: There are two.
    """
    seen = set()
    for item in items if isinstance(items, tuple) else ():
        value = getattr(item, member)
        if value in seen:
            raise ValueError(message.format(value))
        seen.add(value)


class BackendTools(Tools):
    """What is shown of the tools of one backend."""

    backend: BackendName
    """Which one; one that this process does not have is passed over."""
