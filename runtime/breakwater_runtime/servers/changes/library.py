"""The changes that lie under the root, for reading. Nothing here writes or takes the lock."""

from __future__ import annotations

import heapq
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from breakwater_runtime.servers.changes import documents, names
from breakwater_runtime.servers.changes.errors import ChangeError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from breakwater_runtime.servers.changes.folder import Folder

CHANGES = "changes"

CAPABILITIES_MAX = 100
"""Most deltas that are listed of one change; others can be read, but are not listed."""


@dataclass(frozen=True)
class Change:
    """One change whose folder is held open."""

    change: str
    folder: Folder
    is_archived: bool

    @property
    def title(self) -> str:
        """First heading of the proposal; the id where there is none or it cannot be read."""
        try:
            return documents.title_of(self.folder.read(documents.PROPOSAL)) or self.change
        except ChangeError:
            return self.change

    @property
    def tasks(self) -> list[documents.Task]:
        """Its tasks; none where there is no task list.

        Raises:
            ChangeError: The task list is there and cannot be read.
        """
        try:
            return documents.tasks_in(self.folder.read(documents.TASKS))
        except NotFoundError:
            return []

    @property
    def files(self) -> list[str]:
        """Which of the three documents it has."""
        known = (documents.PROPOSAL, documents.TASKS, documents.DESIGN)
        return [name for name in known if self.folder.has(name)]

    @property
    def capabilities(self) -> list[str]:
        """The capabilities that it has deltas for, in order."""
        try:
            with self.folder.child(documents.SPECS) as specs:
                found = (name for name in specs.folders() if names.is_name(name))
                return heapq.nsmallest(CAPABILITIES_MAX, found)
        except ChangeError:
            # No deltas, or a symlink in their place: nothing to list. Reading one says why.
            return []

    def document(self, *path: str) -> str:
        """Return one document of it."""
        with ExitStack() as opened:
            folder = self.folder
            for name in path[:-1]:
                folder = opened.enter_context(folder.child(name))
            return folder.read(path[-1])


@contextmanager
def open_change(root: Folder, change: str) -> Iterator[Change]:
    """Open a change that is not archived.

    Raises:
        NotFoundError: There is no such open change.
    """
    with root.child(CHANGES) as changes, changes.child(change) as folder:
        yield Change(change, folder, is_archived=False)


@contextmanager
def archived_change(root: Folder, change: str) -> Iterator[Change]:
    """Open a change in the archive, the latest one of that id.

    Raises:
        NotFoundError: There is none.
    """
    with root.child(CHANGES) as changes, changes.child(names.ARCHIVE) as archive:
        named = (name for name in archive.folders() if names.change_archived_as(name) == change)
        latest = max(named, default=None)
        if latest is None:
            raise NotFoundError(f"{archive.where} has no change {change}")
        with archive.child(latest) as folder:
            yield Change(change, folder, is_archived=True)


@contextmanager
def any_change(root: Folder, change: str) -> Iterator[Change]:
    """Open a change wherever it lies.

    Raises:
        NotAcceptedError: This is no change's id.
        NotFoundError: There is no such change.
    """
    names.checked("the change", change)
    with ExitStack() as opened:
        try:
            found = opened.enter_context(open_change(root, change))
        except NotFoundError:
            # In this order: a change that is archived just now is found at one of the two.
            try:
                found = opened.enter_context(archived_change(root, change))
            except NotFoundError as error:
                raise NotFoundError(
                    f"there is no change {change}; the resource changes:// lists those there are"
                ) from error
        yield found


def open_changes(root: Folder, after: str, most: int) -> list[str]:
    """Return the first ids of open changes behind `after`, in order."""
    try:
        with root.child(CHANGES) as changes:
            found = (name for name in changes.folders() if names.is_name(name))
            return heapq.nsmallest(most, (name for name in found if name > after))
    except NotFoundError:
        return []


def archived_changes(root: Folder, most: int) -> list[str]:
    """Return the folders of the changes that were archived last, the latest first."""
    try:
        with root.child(CHANGES) as changes, changes.child(names.ARCHIVE) as archive:
            found = (name for name in archive.folders() if names.change_archived_as(name))
            return heapq.nlargest(most, found)
    except NotFoundError:
        return []
