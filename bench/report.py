"""What a suite measured, as it is written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Options:
    """How a suite is run."""

    quick: bool = False
    """About a minute in all, to see that everything works; its figures are not for keeping."""
    servers: int | None = None
    """How many McpServers, where a suite has any; None: as many as the suite is made for."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What a figure has to be."""

    value: float
    at_least: bool
    """Else at most."""
    of_ratio: bool = False
    """Whether it bounds the ratio to the peer, and not the figure itself."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure that somebody relies on."""

    what: str
    figure: float | None
    """None: not measured, and `note` says why."""
    unit: str = ""
    ratio: float | None = None
    peer: str = ""
    """What the ratio is to, measured in the same run."""
    bound: Bound | None = None
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the bound holds; None where there is none, or nothing was measured."""
        measured = self.ratio if self.bound and self.bound.of_ratio else self.figure
        if self.bound is None or measured is None:
            return None
        if self.bound.at_least:
            return measured >= self.bound.value
        return measured <= self.bound.value


@dataclass(frozen=True, slots=True)
class Table:
    """Details, as readers see them."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What one suite measured."""

    title: str
    text: str
    """What was run, and what was switched on."""
    rows: Sequence[Row]
    tables: Sequence[Table] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of the libraries and programs that the figures depend on."""
    stopped: str | None = None
    """Why it ended before all was measured: then it is no page to keep."""
    raw: object = None
    """Every sample, for the JSON file; anything that `json.dumps` takes."""
