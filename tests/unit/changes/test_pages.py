from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from breakwater_runtime.servers.changes import library, listing, pages
from breakwater_runtime.servers.changes.folder import Folder

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.requirement("T6")


def test_the_list_of_changes_says_when_there_are_more(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "OPEN_MAX", 2)
    monkeypatch.setattr(pages, "ARCHIVED_MAX", 1)
    for name in ["c", "a", "b", "archive/2026-01-02-e", "archive/2026-01-03-d", "archive/other"]:
        (root / "changes" / name).mkdir(parents=True)

    with Folder.root(root) as folder:
        page = pages.index(folder)

    assert [line for line in page.splitlines() if line] == [
        "# Changes",
        "## Open",
        "- [a](changes://a): a (0 of 0 done)",
        "- [b](changes://b): b (0 of 0 done)",
        "Only the first 2 are listed; resources/list pages through all.",
        "## Archived",
        "- [2026-01-03-d](changes://d)",
        "Only the last 1 are listed; others can be read by their id.",
    ]


def test_one_change_that_cannot_be_read_does_not_hide_the_others(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ["broken", "fine"]:
        (root / "changes" / name).mkdir(parents=True)
        (root / "changes" / name / "proposal.md").write_text("no heading\n# Title of it\n")
    (root / "changes" / "broken" / "proposal.md").write_bytes(b"\xff")
    (root / "changes" / "broken" / "tasks.md").write_bytes(b"\xff")

    with Folder.root(root) as folder:
        page = pages.index(folder)

    assert "- [broken](changes://broken): broken (changes/broken/tasks.md is not UTF-8" in page
    assert "- [fine](changes://fine): Title of it (0 of 0 done)" in page


def test_a_change_that_goes_while_it_is_listed_does_not_hide_the_others(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "changes" / "fine").mkdir(parents=True)
    monkeypatch.setattr(library, "open_changes", lambda *_, **__: ["fine", "gone"])

    with Folder.root(root) as folder:
        page = pages.index(folder)
        listed = listing.page(folder, None).resources

    assert "- [fine](changes://fine): fine (0 of 0 done)" in page
    assert "- [gone](changes://gone): changes/gone does not exist" in page
    assert [resource.uri for resource in listed] == ["changes://", "changes://fine"]


def test_a_change_of_an_id_that_was_archived_twice_is_the_latest(root: Path) -> None:
    for day in ["2026-01-02", "2026-01-03"]:
        folder = root / "changes" / "archive" / f"{day}-add-login"
        folder.mkdir(parents=True)
        (folder / "proposal.md").write_text(f"# Of {day}\n")

    with Folder.root(root) as volume, library.any_change(volume, "add-login") as change:
        assert change.title == "Of 2026-01-03"
        assert pages.deltas(change) == "# Deltas of add-login\n\nNone.\n"
