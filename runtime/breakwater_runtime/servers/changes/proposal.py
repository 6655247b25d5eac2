"""What a caller proposes, checked before anything is looked up or written."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from breakwater_runtime.servers.changes.errors import NotAcceptedError
from breakwater_runtime.servers.changes.names import checked, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TITLE_LENGTH_MAX = 200
TASK_LENGTH_MAX = 500
TASKS_MAX = 200
DELTAS_MAX = 50
TEXT_LENGTH_MAX = 100_000
"""Longest single text: two of them in one document can be read back, whatever their letters."""
TOTAL_LENGTH_MAX = 1_000_000
"""Longest sum of all texts of one call."""


@dataclass(frozen=True)
class Proposal:
    """The contents of a change to be opened. Empty parts are filled from the template."""

    change: str
    title: str = ""
    why: str = ""
    what_changes: str = ""
    design: str = ""
    tasks: Sequence[str] = ()
    deltas: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_bare(self) -> bool:
        """Whether it names a change and says nothing about it."""
        return not (
            self.title or self.why or self.what_changes or self.design or self.tasks or self.deltas
        )

    def check(self) -> None:
        """Make sure that it can be written as it stands.

        Raises:
            NotAcceptedError: It cannot; the message names the argument and what is accepted.
        """
        checked("changeId", self.change)
        _check_line("title", self.title, TITLE_LENGTH_MAX)
        _check_text("why", self.why)
        _check_text("whatChanges", self.what_changes)
        _check_text("design", self.design)
        self._check_tasks()
        self._check_deltas()
        self._check_total()

    def _check_tasks(self) -> None:
        _check_count("tasks", len(self.tasks), TASKS_MAX)
        for number, task in enumerate(self.tasks):
            _check_line(f"tasks[{number}]", task, TASK_LENGTH_MAX)
            if not task.strip():
                raise NotAcceptedError(f"tasks[{number}] is empty; say what is to be done")

    def _check_deltas(self) -> None:
        _check_count("deltas", len(self.deltas), DELTAS_MAX)
        for capability, text in self.deltas.items():
            checked("deltas", capability)
            _check_text(f"deltas[{capability}]", text)
            if not text.strip():
                raise NotAcceptedError(f"deltas[{capability}] is empty; write its requirements")

    def _check_total(self) -> None:
        texts = (self.why, self.what_changes, self.design, *self.tasks, *self.deltas.values())
        total = sum(map(len, texts))
        if total > TOTAL_LENGTH_MAX:
            raise NotAcceptedError(
                f"the texts have {total} characters together; at most {TOTAL_LENGTH_MAX} are "
                "accepted, open several changes"
            )


def _check_count(argument: str, found: int, most: int) -> None:
    if found > most:
        raise NotAcceptedError(f"{argument}: {found} entries; at most {most} are accepted")


def _check_line(argument: str, value: str, most: int) -> None:
    _check_length(argument, value, most)
    for character in value:
        if unicodedata.category(character) in {"Cc", "Zl", "Zp"}:
            raise NotAcceptedError(
                f"{argument}: {shown(value)} is not one line of text; leave out line breaks and "
                "control characters"
            )
    _check_encodable(argument, value)


def _check_text(argument: str, value: str) -> None:
    _check_length(argument, value, TEXT_LENGTH_MAX)
    if "\0" in value:
        raise NotAcceptedError(f"{argument} has a NUL character; it must be text")
    _check_encodable(argument, value)


def _check_length(argument: str, value: str, most: int) -> None:
    if len(value) > most:
        raise NotAcceptedError(
            f"{argument} has {len(value)} characters; at most {most} are accepted"
        )


def _check_encodable(argument: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise NotAcceptedError(
            f"{argument} has half of a surrogate pair at character {error.start}; "
            "it must be valid Unicode"
        ) from error
