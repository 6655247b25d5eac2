from __future__ import annotations

import errno
import os
import socket
import stat
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakwater_runtime.servers.changes.errors import ChangeError, NotFoundError
from breakwater_runtime.servers.changes.folder import DOCUMENT_BYTES_MAX, Folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.requirement("T5")


@given(st.one_of(st.sampled_from(["", ".", "..", "a/b", "/", "\0", "../x"]), st.text(max_size=300)))
def test_a_name_never_leads_out_of_its_folder(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    with Folder.root(tmp_path_factory.getbasetemp()) as folder, pytest.raises(ChangeError):
        folder.read(name)


def _symlink_out(place: Path, outside: Path) -> None:
    place.symlink_to(outside / "proposal.md")


def _fifo(place: Path, outside: Path) -> None:
    os.mkfifo(place)


def _socket(place: Path, outside: Path) -> None:
    # Through the folder's descriptor: a socket's path may have 107 bytes only.
    parent = os.open(place.parent, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{parent}/{place.name}")
    os.close(parent)


def _folder(place: Path, outside: Path) -> None:
    place.mkdir()


def _too_long(place: Path, outside: Path) -> None:
    place.write_bytes(b"a" * (DOCUMENT_BYTES_MAX + 1))


def _endless(place: Path, outside: Path) -> None:
    place.touch()
    os.truncate(place, 2**40)


def _not_utf8(place: Path, outside: Path) -> None:
    place.write_bytes(b"\xff")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_symlink_out, "not a regular file"),
        (_fifo, "not a regular file"),
        (_socket, "not a regular file"),
        (_folder, "not a regular file"),
        (_too_long, "longer than"),
        (_endless, "longer than"),
        (_not_utf8, "UTF-8"),
    ],
)
def test_only_short_regular_text_files_are_read(
    root: Path, make: Callable[[Path, Path], None], message: str
) -> None:
    make(root / "proposal.md", root.parent / "outside")

    with Folder.root(root) as folder, pytest.raises(ChangeError, match=message):
        folder.read("proposal.md")


@pytest.mark.parametrize("target", ["outside", "/", "."])
def test_a_symlink_to_a_folder_is_not_opened(root: Path, target: str) -> None:
    (root / "changes").symlink_to(root.parent / target)

    with Folder.root(root) as folder:
        with pytest.raises(ChangeError, match="symlink"):
            folder.child("changes")
        with pytest.raises(ChangeError, match="symlink"):
            folder.made("changes")


def test_a_symlink_that_dangles_counts_as_something(root: Path) -> None:
    (root / "add").symlink_to("nowhere")

    with Folder.root(root) as folder:
        assert folder.has("add")
        assert not folder.has("other")


def test_swapping_a_folder_for_a_symlink_reaches_nothing_outside(root: Path) -> None:
    real, link = root / "real", root / "link"
    real.mkdir()
    (real / "proposal.md").write_text("inside")
    link.symlink_to(root.parent / "outside")
    place, stop = root / "add", threading.Event()
    place.symlink_to("nowhere")

    def swap() -> None:
        while not stop.is_set():
            for source in (real, link):
                aside = root / "aside"
                place.rename(aside)
                source.rename(place)
                place.rename(source)
                aside.rename(place)

    swapping = threading.Thread(target=swap)
    swapping.start()
    read: list[str] = []
    refused: list[str] = []
    deadline = time.monotonic() + 5
    try:
        while len(read) < 50 or len(refused) < 50:
            assert time.monotonic() < deadline, (len(read), len(refused))
            try:
                with Folder.root(root) as folder, folder.child("add") as child:
                    read.append(child.read("proposal.md"))
            except NotFoundError:
                continue
            except ChangeError as error:
                refused.append(str(error))
    finally:
        stop.set()
        swapping.join()

    assert set(read) == {"inside"}
    assert set(refused) == {"add is a symlink or a file; only real folders are opened"}


@pytest.mark.parametrize("make", [_symlink_out, _fifo])
def test_swapping_a_file_after_the_look_at_it_reaches_nothing_outside(
    root: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path, Path], None]
) -> None:
    place = root / "proposal.md"
    place.write_text("inside")
    look = os.stat

    def look_and_swap(name: str, **options: Any) -> os.stat_result:
        seen = look(name, **options)
        if name == place.name:
            place.unlink()
            make(place, root.parent / "outside")
        return seen

    with Folder.root(root) as folder:
        monkeypatch.setattr(os, "stat", look_and_swap)
        with pytest.raises(ChangeError):
            folder.read("proposal.md")


def test_what_is_written_is_for_owner_and_group_whatever_the_umask(root: Path) -> None:
    before = os.umask(0o077)
    try:
        with Folder.root(root) as folder, folder.made("changes") as changes:
            changes.write("proposal.md", "text")
    finally:
        os.umask(before)

    assert stat.S_IMODE((root / "changes").stat().st_mode) == 0o750
    assert stat.S_IMODE((root / "changes" / "proposal.md").stat().st_mode) == 0o640


def test_a_folder_keeps_the_group_that_its_volume_gives(root: Path) -> None:
    root.chmod(0o2770)

    with Folder.root(root) as folder, folder.made("changes"):
        pass

    assert stat.S_IMODE((root / "changes").stat().st_mode) == 0o2750


def test_nothing_is_written_over(root: Path) -> None:
    (root / "proposal.md").symlink_to(root.parent / "outside" / "new.md")

    with Folder.root(root) as folder, pytest.raises(ChangeError):
        folder.write("proposal.md", "text")

    assert not (root.parent / "outside" / "new.md").exists()


def test_a_folder_is_not_moved_onto_what_is_there(root: Path) -> None:
    for name in ("new", "taken"):
        (root / name).mkdir()
        (root / name / "proposal.md").write_text(name)
    (root / "link").symlink_to(root.parent / "outside")

    with Folder.root(root) as folder:
        for target in ("taken", "link"):
            with pytest.raises(ChangeError, match="exists already"):
                folder.move("new", folder, target)

    assert (root / "taken" / "proposal.md").read_text() == "taken"
    assert (root / "new" / "proposal.md").read_text() == "new"


def test_clearing_takes_symlinks_away_and_not_what_they_point_to(root: Path) -> None:
    outside = root.parent / "outside"
    (root / "link").symlink_to(outside)
    (root / "left" / "deep").mkdir(parents=True)
    (root / "left" / "deep" / "link").symlink_to(outside)
    (root / "file").touch()

    with Folder.root(root) as folder:
        folder.clear()

    assert list(root.iterdir()) == []
    assert (outside / "proposal.md").read_text() == "outside"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "the volume is full"),
        (errno.EROFS, "mounted read-only"),
        (errno.EACCES, "set fsGroup"),
        (errno.EIO, "server's log"),
    ],
)
def test_what_the_volume_refuses_is_said_plainly(
    root: Path, monkeypatch: pytest.MonkeyPatch, code: int, message: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "mkdir", refuse)

    with Folder.root(root) as folder, pytest.raises(ChangeError, match=message):
        folder.made("changes")


def test_a_missing_root_names_the_setting(root: Path) -> None:
    with pytest.raises(ChangeError, match="CHANGES_ROOT") as refused:
        Folder.root(root / "missing")

    assert not isinstance(refused.value, NotFoundError)


def test_a_lock_that_is_held_is_waited_for_and_then_given_up(root: Path) -> None:
    with Folder.root(root) as one, Folder.root(root) as other:
        with (
            one.locked(1),
            pytest.raises(ChangeError, match="try again"),
            other.locked(0.05),
        ):
            pass
        with other.locked(1):
            pass
