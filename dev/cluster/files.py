"""Files that are whole or absent, and locks that die with their holder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def write(path: Path, content: str | bytes, *, mode: int = 0o644) -> None:
    """Replace a file's content in one step, so that nobody ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() == data:
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@contextlib.contextmanager
def locked(path: Path, *, waiting: Callable[[], None] = lambda: None) -> Iterator[int]:
    """Hold a file's or a folder's lock; `waiting` is called once when somebody else holds it.

    The kernel drops the lock when the last process that has the descriptor is gone, so a killed
    holder leaves nothing to clean up. A child that is given the descriptor holds it too.
    """
    if path.is_dir():
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def link(name: Path, target: Path) -> None:
    """Have a symbolic link lead to a target, also while others do the same."""
    if not name.is_symlink() or name.readlink() != target:
        scratch = name.with_name(f".{name.name}.{os.getpid()}")
        scratch.unlink(missing_ok=True)
        scratch.symlink_to(target)
        scratch.replace(name)
