"""What is in the cache is whole, and is known by what it was made from."""

import os
from pathlib import Path

import pytest

from dev.images.cache import content, digest, made_once, superseded


def test_a_digest_knows_where_one_part_ends() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("ab", b"c") == digest("ab", "c")


def test_a_folder_is_made_once(tmp_path: Path) -> None:
    with made_once(tmp_path / "a") as folder:
        assert folder is not None
        (folder / "file").write_text("whole")

    with made_once(tmp_path / "a") as again:
        assert again is None
    assert (tmp_path / "a/file").read_text() == "whole"


def test_a_folder_that_was_not_finished_is_absent_and_made_anew(tmp_path: Path) -> None:
    def be_interrupted() -> None:
        with made_once(tmp_path / "a") as folder:
            assert folder is not None
            (folder / "half").write_text("")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        be_interrupted()

    assert not (tmp_path / "a").exists()
    with made_once(tmp_path / "a") as folder:
        assert folder is not None
        assert list(folder.iterdir()) == []


def test_the_newest_stay(tmp_path: Path) -> None:
    for age, name in enumerate(["new", "older", "oldest"]):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    (tmp_path / ".new.lock").touch()

    assert [path.name for path in superseded(tmp_path, 2)] == ["oldest"]


def test_content_is_names_bytes_and_who_may_run_it_but_not_what_tools_leave_behind(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.py").write_text("1")
    before = list(content(tmp_path))
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/a.pyc").write_text("2")
    (tmp_path / ".dockerignore").write_text("3")

    assert list(content(tmp_path)) == before
    (tmp_path / "a.py").chmod(0o755)
    assert list(content(tmp_path)) != before
