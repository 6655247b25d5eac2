"""The cache: everything in it is known by what it was made from, whole or absent."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from typing import TYPE_CHECKING

from dev.cluster.files import locked
from dev.cluster.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEPT = 4
"""How many builds of one image stay: a branch or two, and the way back."""


def default() -> Path:
    """Return the folder of the images' cache, beside the clusters'; it may be deleted any time."""
    return Settings.from_environment().cache.parent / "images"


def digest(*parts: str | bytes) -> str:
    """Return a hash of several strings that no other division of them has."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()


def content(folder: Path) -> Iterator[str]:
    """Yield the path, kind and hash of every file in a folder.

    Bytecode and hidden files are what tools leave behind, and no content.
    """
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and not any(is_left_behind(part) for part in inside.parts):
            with path.open("rb") as file:
                sha = hashlib.file_digest(file, "sha256").hexdigest()
            yield f"{inside} {path.stat().st_mode & 0o111:o} {sha}"


def is_left_behind(name: str) -> bool:
    """Say whether a file or folder of this name is none of an image's content."""
    return name == "__pycache__" or name.startswith(".")


@contextlib.contextmanager
def made_once(folder: Path) -> Iterator[Path | None]:
    """Give an empty folder to fill, which takes its final name at the end; None if it is there.

    Two processes that want the same folder wait for each other; one that was killed leaves nothing
    that another would take for whole.
    """
    with locked(folder.parent / f".{folder.name}.lock"):
        if folder.is_dir():
            yield None
            return
        growing = folder.parent / f".{folder.name}.new"
        shutil.rmtree(growing, ignore_errors=True)
        growing.mkdir(parents=True)
        yield growing
        growing.rename(folder)


def superseded(folder: Path, count: int = KEPT) -> Iterator[Path]:
    """Yield all but the newest entries of a folder."""
    entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    yield from sorted(entries, key=lambda path: path.stat().st_mtime, reverse=True)[count:]
