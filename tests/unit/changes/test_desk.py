from __future__ import annotations

import stat
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from breakwater_runtime.servers.changes.errors import (
    ChangeError,
    NotAcceptedError,
    NotFoundError,
)
from breakwater_runtime.servers.changes.proposal import Proposal

if TYPE_CHECKING:
    from pathlib import Path

    from breakwater_runtime.servers.changes.desk import Desk

pytestmark = pytest.mark.requirement("T6")

WANTED = Proposal(
    "add-login",
    title="Log in with a key",
    why="People share passwords.",
    tasks=["Write the form", "Tell people"],
    deltas={"user-auth": "## ADDED Requirements"},
)


def tree(root: Path) -> dict[str, str | None]:
    """Return everything below a root: the text of files, None for folders."""
    return {
        str(path.relative_to(root)): path.read_text() if path.is_file() else None
        for path in sorted(root.rglob("*"))
    }


def test_opening_makes_the_folder_with_its_documents(desk: Desk, root: Path) -> None:
    opened = desk.open(WANTED)

    assert opened.model_dump(by_alias=True) == {
        "changeId": "add-login",
        "opened": True,
        "status": "open",
        "title": "Log in with a key",
        "path": "changes/add-login",
        "uri": "changes://add-login",
        "documents": [
            "changes://add-login/proposal",
            "changes://add-login/tasks",
            "changes://add-login/deltas/user-auth",
        ],
        "tasks": {"done": 0, "total": 2},
    }
    assert [name for name in tree(root) if tree(root)[name] is not None] == [
        "changes/add-login/proposal.md",
        "changes/add-login/specs/user-auth/spec.md",
        "changes/add-login/tasks.md",
    ]
    assert list((root / ".staging").iterdir()) == []
    for path in (root / "changes").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o750 if path.is_dir() else 0o640)


def test_repeating_a_call_returns_the_same_change(desk: Desk, root: Path) -> None:
    first = desk.open(WANTED)
    before = tree(root)

    again = desk.open(WANTED)

    assert again == first.model_copy(update={"opened": False})
    assert tree(root) == before


def test_repeating_a_call_is_recognised_after_work_on_the_tasks(desk: Desk, root: Path) -> None:
    desk.open(WANTED)
    tasks = root / "changes" / "add-login" / "tasks.md"
    tasks.write_text(tasks.read_text().replace("[ ] 1.1", "[x] 1.1"))

    again = desk.open(WANTED)

    assert (again.opened, again.tasks.done, again.tasks.total) == (False, 1, 2)


def test_the_id_alone_returns_the_change_whatever_became_of_it(desk: Desk, root: Path) -> None:
    desk.open(WANTED)
    (root / "changes" / "add-login" / "proposal.md").write_text("# Something else\n")

    again = desk.open(Proposal("add-login"))

    assert (again.opened, again.title) == (False, "Something else")


@pytest.mark.parametrize(
    ("other", "document"),
    [
        (replace(WANTED, title="Another"), "proposal.md"),
        (replace(WANTED, tasks=["Another"]), "tasks.md"),
        (replace(WANTED, deltas={"user-auth": "Another"}), "specs/user-auth/spec.md"),
        (replace(WANTED, design="Another"), "design.md"),
    ],
)
def test_another_change_of_the_same_id_is_refused_and_nothing_changed(
    desk: Desk, root: Path, other: Proposal, document: str
) -> None:
    desk.open(WANTED)
    before = tree(root)

    with pytest.raises(ChangeError, match=f"exists already with another {document}"):
        desk.open(other)

    assert tree(root) == before


def test_what_is_not_accepted_leaves_no_trace(desk: Desk, root: Path) -> None:
    with pytest.raises(NotAcceptedError):
        desk.open(Proposal("../../etc/passwd"))
    with pytest.raises(NotAcceptedError):
        desk.archive("../../etc/passwd", force=True)

    assert list(root.iterdir()) == []


def test_archiving_moves_the_change_with_everything_in_it(desk: Desk, root: Path) -> None:
    desk.open(WANTED)
    (root / "changes" / "add-login" / "notes.txt").write_text("kept")
    tasks = root / "changes" / "add-login" / "tasks.md"
    tasks.write_text(tasks.read_text().replace("[ ]", "[x]"))
    before = tree(root / "changes" / "add-login")

    archived = desk.archive("add-login", force=False)

    assert archived.model_dump(by_alias=True) == {
        "changeId": "add-login",
        "archived": True,
        "status": "archived",
        "path": "changes/archive/2026-11-21-add-login",
        "uri": "changes://add-login",
        "uncheckedTasks": 0,
    }
    assert tree(root / "changes" / "archive" / "2026-11-21-add-login") == before
    assert not (root / "changes" / "add-login").exists()


def test_unchecked_tasks_are_named_and_keep_a_change_open(desk: Desk, root: Path) -> None:
    desk.open(WANTED)
    before = tree(root)

    with pytest.raises(ChangeError, match=r"unchecked tasks \(2: '1\.1 Write the form'") as refused:
        desk.archive("add-login", force=False)

    assert "force: true" in str(refused.value)
    assert tree(root) == before


def test_force_archives_unchecked_tasks_and_counts_them(desk: Desk) -> None:
    desk.open(WANTED)

    assert desk.archive("add-login", force=True).unchecked_tasks == 2


def test_a_task_list_that_cannot_be_read_keeps_a_change_open_unless_forced(
    desk: Desk, root: Path
) -> None:
    desk.open(WANTED)
    tasks = root / "changes" / "add-login" / "tasks.md"
    tasks.unlink()
    tasks.symlink_to(root.parent / "outside" / "proposal.md")

    with pytest.raises(ChangeError, match="not a regular file"):
        desk.archive("add-login", force=False)

    assert desk.archive("add-login", force=True).archived


def test_archiving_again_says_where_the_change_lies_even_on_another_day(
    desk: Desk, root: Path
) -> None:
    desk.open(WANTED)
    desk.archive("add-login", force=True)
    before = tree(root)

    again = replace(desk, today=lambda: date(2027, 1, 1)).archive("add-login", force=False)

    assert (again.archived, again.path) == (False, "changes/archive/2026-11-21-add-login")
    assert again.unchecked_tasks == 2
    assert tree(root) == before


@pytest.mark.parametrize("prepared", [False, True])
def test_archiving_what_is_not_there_says_so(desk: Desk, prepared: bool) -> None:
    if prepared:
        desk.open(WANTED)

    with pytest.raises(NotFoundError, match="there is no change add-logout"):
        desk.archive("add-logout", force=False)


def test_an_archived_id_is_not_used_again(desk: Desk) -> None:
    desk.open(WANTED)
    desk.archive("add-login", force=True)

    with pytest.raises(ChangeError, match="archived as changes/archive/2026-11-21-add-login"):
        desk.open(WANTED)


def test_an_archived_folder_is_never_replaced(desk: Desk, root: Path) -> None:
    desk.open(WANTED)
    other = root / "changes" / "archive" / "2026-11-21-add-login"
    other.mkdir(parents=True)
    (other / "proposal.md").write_text("older")

    with pytest.raises(ChangeError, match="exists already"):
        desk.archive("add-login", force=True)

    assert tree(other) == {"proposal.md": "older"}
    assert (root / "changes" / "add-login" / "proposal.md").exists()


@pytest.mark.requirement("T5")
@pytest.mark.parametrize("place", ["changes", ".staging", "changes/archive", "changes/add-login"])
def test_a_symlink_in_the_way_stops_every_write(desk: Desk, root: Path, place: str) -> None:
    outside = root.parent / "outside"
    before = tree(outside)
    (root / place).parent.mkdir(exist_ok=True)
    (root / place).symlink_to(outside)

    with pytest.raises(ChangeError, match="symlink"):
        desk.open(WANTED)
    with pytest.raises(ChangeError):
        desk.archive("add-login", force=True)

    assert tree(outside) == before


def test_what_a_dead_process_left_is_removed_by_the_next_opening(desk: Desk, root: Path) -> None:
    (root / ".staging" / "add-old" / "specs").mkdir(parents=True)
    (root / ".staging" / "add-old" / "proposal.md").write_text("half")

    desk.open(WANTED)

    assert list((root / ".staging").iterdir()) == []
