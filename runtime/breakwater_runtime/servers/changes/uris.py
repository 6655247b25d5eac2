"""The resources' URIs: how a change and its documents are addressed, archived or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from breakwater_runtime.servers.changes import documents as files

if TYPE_CHECKING:
    from breakwater_runtime.servers.changes.library import Change

INDEX = "changes://"
CHANGE = "changes://{change}"
PROPOSAL = "changes://{change}/proposal"
TASKS = "changes://{change}/tasks"
DESIGN = "changes://{change}/design"
DELTAS = "changes://{change}/deltas"
DELTA = "changes://{change}/deltas/{capability}"

FORMS = (INDEX, CHANGE, PROPOSAL, TASKS, DESIGN, DELTAS, DELTA)

LENGTH_MAX = 512
"""Longest URI that is looked at: two names, percent-encoded throughout, fit."""

_OF_FILE = {files.PROPOSAL: PROPOSAL, files.TASKS: TASKS, files.DESIGN: DESIGN}


def change(change: str) -> str:
    """Return the URI of a change."""
    return CHANGE.format(change=change)


def of_file(change: str, name: str) -> str:
    """Return the URI of one of a change's three documents."""
    return _OF_FILE[name].format(change=change)


def documents(change: Change) -> list[str]:
    """Return the URIs of the documents that a change has, deltas last."""
    of_files = [of_file(change.change, name) for name in change.files]
    return of_files + deltas(change)


def deltas(change: Change) -> list[str]:
    """Return the URIs of a change's deltas."""
    return [
        DELTA.format(change=change.change, capability=capability)
        for capability in change.capabilities
    ]
