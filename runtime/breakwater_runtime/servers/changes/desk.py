"""Opening and archiving changes: one at a time, each by one rename, so that nothing is half done.

Whatever stops the process leaves either the old state or the new one. A new change is built in
`.staging`, which readers never look into, and its files and folders are on the volume before the
rename that makes it a change. What a dead process left in `.staging` is removed by the next call
that opens a change: it holds the lock, so nobody can still be building there.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from breakwater_runtime.servers.changes import documents, library, names, uris
from breakwater_runtime.servers.changes.errors import ChangeError, NotFoundError
from breakwater_runtime.servers.changes.folder import Folder
from breakwater_runtime.servers.changes.results import ArchivedChange, OpenedChange, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date
    from pathlib import Path

    from breakwater_runtime.servers.changes.library import Change
    from breakwater_runtime.servers.changes.proposal import Proposal

STAGING = ".staging"
LOCK_TIMEOUT_SECONDS = 10.0
"""How long a call waits for another one; each holds the lock for milliseconds."""

TASKS_NAMED = 5
"""How many unchecked tasks a refusal names."""


@dataclass(frozen=True)
class Desk:
    """Where changes are opened and archived."""

    root: Path
    today: Callable[[], date]
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS

    def open(self, proposal: Proposal) -> OpenedChange:
        """Open a change, or return the one that is there.

        A call that is repeated because its answer was lost finds its own change and is answered
        as before. Anything else of the same id is left alone.

        Raises:
            NotAcceptedError: The proposal cannot be written as it stands.
            ChangeError: The id is taken by another change, or the volume refuses.
        """
        proposal.check()
        with Folder.root(self.root) as root, root.locked(self.lock_timeout_seconds):
            with root.made(library.CHANGES) as changes, root.made(STAGING) as staging:
                staging.clear()
                is_new = not changes.has(proposal.change)
                if is_new:
                    _refuse_archived(root, proposal.change)
                    _build(staging, proposal.change, documents.rendered(proposal))
                    staging.move(proposal.change, changes, proposal.change)
            with library.open_change(root, proposal.change) as change:
                if not is_new and not proposal.is_bare:
                    _refuse_other(change, proposal)
                return _opened(change, is_new=is_new)

    def archive(self, change_id: str, *, force: bool) -> ArchivedChange:
        """Move a change to the archive, or say where it lies there.

        Raises:
            NotAcceptedError: This is no change's id.
            NotFoundError: There is no such change.
            ChangeError: Tasks are unchecked and `force` is false, or the volume refuses.
        """
        names.checked("changeId", change_id)
        with Folder.root(self.root) as root, root.locked(self.lock_timeout_seconds):
            try:
                with library.open_change(root, change_id) as change:
                    unchecked = _unchecked(change, force=force)
            except NotFoundError:
                return _archived_before(root, change_id)
            with (
                root.child(library.CHANGES) as changes,
                changes.made(names.ARCHIVE) as archive,
            ):
                name = names.archived_as(change_id, self.today())
                changes.move(change_id, archive, name)
                return _archived(change_id, f"{archive.where}/{name}", unchecked, by_us=True)


def _refuse_archived(root: Folder, change_id: str) -> None:
    """Keep ids unique for good: links to a change and retries of its archiving stay unambiguous."""
    try:
        with library.archived_change(root, change_id) as change:
            raise ChangeError(
                f"{change_id} was archived as {change.folder.where}; choose another changeId "
                f"(the archived change can be read as {uris.change(change_id)})"
            )
    except NotFoundError:
        return


def _build(staging: Folder, name: str, texts: Mapping[tuple[str, ...], str]) -> None:
    """Write a folder with these documents and wait until the volume has all of it."""
    with staging.made(name) as folder:
        for path, text in texts.items():
            with ExitStack() as opened:
                way = [folder]
                for part in path[:-1]:
                    way.append(opened.enter_context(way[-1].made(part)))
                way[-1].write(path[-1], text)
                for part_of_way in reversed(way):
                    part_of_way.sync()


def _refuse_other(change: Change, proposal: Proposal) -> None:
    """Refuse a proposal unless it is the one that this change was opened with."""
    for path, text in documents.rendered(proposal).items():
        try:
            found = change.document(*path)
        except NotFoundError:
            found = ""
        if path == (documents.TASKS,):
            # Ticked boxes are progress, not another change.
            found, text = documents.unticked(found), documents.unticked(text)
        if found != text:
            raise ChangeError(
                f"{change.folder.where} exists already with another {'/'.join(path)}; choose "
                "another changeId, or send the changeId alone to have that change returned"
            )


def _opened(change: Change, *, is_new: bool) -> OpenedChange:
    return OpenedChange(
        change_id=change.change,
        opened=is_new,
        title=change.title,
        path=change.folder.where,
        uri=uris.change(change.change),
        documents=uris.documents(change),
        tasks=_progress(change.tasks),
    )


def _progress(tasks: list[documents.Task]) -> Progress:
    return Progress(done=sum(task.is_done for task in tasks), total=len(tasks))


def _unchecked(change: Change, *, force: bool) -> int:
    """Return how many tasks are left, 0 when `force` makes an unreadable list unimportant."""
    try:
        left = [task.text for task in change.tasks if not task.is_done]
    except ChangeError:
        if force:
            return 0
        raise
    if left and not force:
        more = "; ..." if len(left) > TASKS_NAMED else ""
        named = "; ".join(names.shown(text) for text in left[:TASKS_NAMED])
        raise ChangeError(
            f"{change.folder.where}/{documents.TASKS} has unchecked tasks ({len(left)}: {named}"
            f"{more}); tick them with [x], or archive with force: true"
        )
    return len(left)


def _archived_before(root: Folder, change_id: str) -> ArchivedChange:
    try:
        with library.archived_change(root, change_id) as change:
            unchecked = _unchecked(change, force=True)
            return _archived(change_id, change.folder.where, unchecked, by_us=False)
    except NotFoundError as error:
        raise NotFoundError(
            f"there is no change {change_id}; the resource {uris.INDEX} lists those there are"
        ) from error


def _archived(change_id: str, path: str, unchecked: int, *, by_us: bool) -> ArchivedChange:
    return ArchivedChange(
        change_id=change_id,
        archived=by_us,
        path=path,
        uri=uris.change(change_id),
        unchecked_tasks=unchecked,
    )
