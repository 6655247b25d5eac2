"""The resources that `resources/list` names, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_types import Resource

from breakwater_runtime.servers.changes import documents, library, uris
from breakwater_runtime.servers.changes.errors import ChangeError, NotAcceptedError
from breakwater_runtime.servers.changes.names import is_name, shown

if TYPE_CHECKING:
    from breakwater_runtime.servers.changes.folder import Folder
    from breakwater_runtime.servers.changes.library import Change

MARKDOWN = "text/markdown"

CHANGES_PER_PAGE = 50
"""Open changes whose resources make up one page."""

_TITLES = {
    documents.PROPOSAL: "Proposal",
    documents.TASKS: "Tasks",
    documents.DESIGN: "Design",
}


@dataclass(frozen=True)
class Page:
    """Some resources, and the cursor of the next page where there is one."""

    resources: list[Resource]
    next_cursor: str | None


def page(root: Folder, cursor: str | None) -> Page:
    """Return the resources of the open changes behind the cursor.

    The cursor is the last change of the page before. So paging goes on correctly whatever is
    opened or archived meanwhile, and by whichever replica.

    Raises:
        NotAcceptedError: No page ended with that cursor.
    """
    if cursor is not None and not is_name(cursor):
        raise NotAcceptedError(
            f"cursor: {shown(cursor)} did not come from this server; begin without a cursor"
        )
    found = library.open_changes(root, after=cursor or "", most=CHANGES_PER_PAGE + 1)
    changes = found[:CHANGES_PER_PAGE]
    resources = [] if cursor else [_resource(uris.INDEX, "changes", "All changes")]
    for change_id in changes:
        resources += _of_change(root, change_id)
    is_last = len(found) <= CHANGES_PER_PAGE
    return Page(resources, next_cursor=None if is_last else changes[-1])


def _of_change(root: Folder, change_id: str) -> list[Resource]:
    try:
        with library.open_change(root, change_id) as change:
            return _resources(change)
    except ChangeError:
        # Archived since its name was read, or not readable: the rest is still worth listing.
        return []


def _resources(change: Change) -> list[Resource]:
    identity, title = change.change, change.title
    found = [_resource(uris.change(identity), identity, title)]
    for name in change.files:
        what = _TITLES[name]
        found.append(
            _resource(uris.of_file(identity, name), f"{identity}/{name}", f"{what}: {title}")
        )
    capabilities = change.capabilities
    if capabilities:
        uri = uris.DELTAS.format(change=identity)
        found.append(_resource(uri, f"{identity}/deltas", f"Deltas: {title}"))
    for capability in capabilities:
        uri = uris.DELTA.format(change=identity, capability=capability)
        found.append(_resource(uri, f"{identity}/{capability}", f"Delta of {capability}: {title}"))
    return found


def _resource(uri: str, name: str, title: str) -> Resource:
    return Resource(uri=uri, name=name, title=title, mime_type=MARKDOWN)
