"""The resources that are no files: the list of changes, one change, the list of its deltas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from breakwater_runtime.servers.changes import library, names, uris
from breakwater_runtime.servers.changes.errors import ChangeError

if TYPE_CHECKING:
    from breakwater_runtime.servers.changes.folder import Folder
    from breakwater_runtime.servers.changes.library import Change

OPEN_MAX = 500
ARCHIVED_MAX = 100
"""Most changes in the list of changes; it says when there are more."""


def index(root: Folder) -> str:
    """Return the list of all changes as Markdown."""
    found = library.open_changes(root, after="", most=OPEN_MAX + 1)
    lines = ["# Changes", "", "## Open", ""]
    lines += [_entry(root, change) for change in found[:OPEN_MAX]] or ["None."]
    if len(found) > OPEN_MAX:
        lines += ["", f"Only the first {OPEN_MAX} are listed; resources/list pages through all."]
    archived = library.archived_changes(root, most=ARCHIVED_MAX + 1)
    lines += ["", "## Archived", ""]
    lines += [_archived(folder) for folder in archived[:ARCHIVED_MAX]] or ["None."]
    if len(archived) > ARCHIVED_MAX:
        lines += ["", f"Only the last {ARCHIVED_MAX} are listed; others can be read by their id."]
    return "\n".join(lines) + "\n"


def overview(change: Change) -> str:
    """Return what there is to know about one change as Markdown."""
    status = "archived" if change.is_archived else "open"
    lines = [
        f"# {change.title}",
        "",
        f"- Change: {change.change}",
        f"- Status: {status}",
        f"- Folder: {change.folder.where}",
        f"- Tasks: {_tasks(change)}",
        "",
        "## Documents",
        "",
        *(f"- <{uri}>" for uri in uris.documents(change)),
    ]
    return "\n".join(lines) + "\n"


def deltas(change: Change) -> str:
    """Return the list of a change's deltas as Markdown."""
    links = [f"- <{uri}>" for uri in uris.deltas(change)] or ["None."]
    return "\n".join([f"# Deltas of {change.change}", "", *links]) + "\n"


def _entry(root: Folder, change_id: str) -> str:
    link = f"- [{change_id}]({uris.change(change_id)})"
    try:
        with library.open_change(root, change_id) as change:
            return f"{link}: {change.title} ({_tasks(change)})"
    except ChangeError as error:
        # Archived since it was listed, or a symlink since: the others are still worth listing.
        return f"{link}: {error}"


def _archived(folder: str) -> str:
    change = names.change_archived_as(folder) or folder
    return f"- [{folder}]({uris.change(change)})"


def _tasks(change: Change) -> str:
    try:
        tasks = change.tasks
    except ChangeError as error:
        return str(error)
    return f"{sum(task.is_done for task in tasks)} of {len(tasks)} done"
