"""What the tools answer; their fields are the tools' output schemas."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class _Result(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True, frozen=True
    )


class Progress(_Result):
    """How far the tasks of a change are."""

    done: int = Field(ge=0)
    """Tasks whose box is ticked."""
    total: int = Field(ge=0)
    """All tasks."""


class OpenedChange(_Result):
    """An open change."""

    change_id: str
    """The change's id."""
    opened: bool
    """True when this call made the change, false when it was there already."""
    status: Literal["open"] = "open"
    """Always open: an archived change is refused."""
    title: str
    """First heading of its proposal."""
    path: str
    """Its folder below the root."""
    uri: str
    """The resource that describes it."""
    documents: list[str]
    """The resources of its documents."""
    tasks: Progress
    """How far its tasks are."""


class ArchivedChange(_Result):
    """A change in the archive."""

    change_id: str
    """The change's id."""
    archived: bool
    """True when this call moved the change, false when it was in the archive already."""
    status: Literal["archived"] = "archived"
    """Always archived."""
    path: str
    """Its folder below the root."""
    uri: str
    """The resource that describes it; it stays the same."""
    unchecked_tasks: int = Field(ge=0)
    """Tasks that are not ticked; more than 0 only when forced or edited since."""
