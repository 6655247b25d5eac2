"""A folder held open: the only way this server touches the file system.

Every look-up is of one name in a folder that is already open, and none follows a symlink. So
there is no path that could lead out of the root, and swapping a folder for a symlink between a
check and its use changes nothing: what was opened stays what it was. (The kernel's openat2 could
do it in one call; Python has no binding for it, and paths here are three names long.)
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from breakwater_runtime.servers.changes.errors import ChangeError
from breakwater_runtime.servers.changes.faults import told
from breakwater_runtime.servers.changes.names import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCUMENT_BYTES_MAX = 1024 * 1024
"""Largest document that is read; a longer one is refused, so that memory stays bounded."""

FILE_MODE = 0o640
FOLDER_MODE = 0o750
LOCK_POLL_SECONDS = 0.02

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Not blocking: should a file become a FIFO between the look at it and the opening, nobody waits.
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_NOT_A_FOLDER = (errno.ELOOP, errno.ENOTDIR)
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, *_NOT_A_FOLDER)


class Folder:
    """One open folder. `where` is its path below the root, for messages."""

    def __init__(self, descriptor: int, where: str) -> None:
        self._descriptor = descriptor
        self.where = where

    @classmethod
    def root(cls, path: Path) -> Self:
        """Open the root; symlinks that lead to it are the administrator's and are followed."""
        try:
            return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), "")
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise ChangeError(
                f"CHANGES_ROOT ({path}) cannot be opened: {reason}; mount a volume there"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def child(self, name: str) -> Folder:
        """Open a folder in this one.

        Raises:
            NotFoundError: There is nothing of that name.
            ChangeError: It is a symlink, or no folder, or may not be read.
        """
        where = self._path(name)
        with told(where):
            try:
                return Folder(os.open(name, _OPEN_FOLDER, dir_fd=self._descriptor), where)
            except OSError as error:
                if error.errno not in _NOT_A_FOLDER:
                    raise
                raise ChangeError(
                    f"{where} is a symlink or a file; only real folders are opened"
                ) from error

    def made(self, name: str) -> Folder:
        """Open a folder in this one, making it first where it is missing."""
        if self.has(name):
            return self.child(name)
        with told(self._path(name)):
            os.mkdir(name, FOLDER_MODE, dir_fd=self._descriptor)
        folder = self.child(name)
        with told(folder.where):
            # The umask may have taken bits; the group's bit came from the parent and stays.
            inherited = os.fstat(folder._descriptor).st_mode & stat.S_ISGID
            os.fchmod(folder._descriptor, FOLDER_MODE | inherited)
        return folder

    def has(self, name: str) -> bool:
        """Say whether there is anything of that name, a dangling symlink included."""
        where = self._path(name)
        with told(where):
            try:
                os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
            except FileNotFoundError:
                return False
            return True

    def folders(self) -> Iterator[str]:
        """Yield the names of the real folders in this one, in no order."""
        with told(self.where), os.scandir(self._descriptor) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield entry.name

    def read(self, name: str) -> str:
        """Return a document.

        Raises:
            NotFoundError: There is nothing of that name.
            ChangeError: It is not a file, is too long, or is not UTF-8.
        """
        where = self._path(name)
        with told(where), os.fdopen(self._open_file(name, where), "rb") as file:
            content = file.read(DOCUMENT_BYTES_MAX + 1)
        if len(content) > DOCUMENT_BYTES_MAX:
            raise ChangeError(f"{where} is longer than {DOCUMENT_BYTES_MAX} bytes; shorten it")
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise ChangeError(f"{where} is not UTF-8 text; save it as UTF-8") from error

    def _open_file(self, name: str, where: str) -> int:
        """Open a file for reading. What is no file is not opened at all: devices act on opening."""
        if not stat.S_ISREG(os.stat(name, dir_fd=self._descriptor, follow_symlinks=False).st_mode):
            raise _not_a_file(where)
        descriptor = os.open(name, _OPEN_FILE, dir_fd=self._descriptor)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        raise _not_a_file(where)

    def write(self, name: str, text: str) -> None:
        """Write a new document and wait until the volume has it."""
        with told(self._path(name)):
            descriptor = os.open(name, _NEW_FILE, FILE_MODE, dir_fd=self._descriptor)
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, FILE_MODE)
                file.write(text.encode())
                file.flush()
                os.fsync(descriptor)

    def move(self, name: str, target: Folder, target_name: str) -> None:
        """Move a folder from here to another folder in one step, never onto something.

        rename(2) replaces an empty folder and nothing else, so what is taken stays as it was.
        """
        where = target._path(target_name)
        with told(where):
            try:
                os.rename(
                    name,
                    target_name,
                    src_dir_fd=self._descriptor,
                    dst_dir_fd=target._descriptor,
                )
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise
                raise ChangeError(f"{where} exists already; nothing was changed") from error
        target.sync()
        self.sync()

    def clear(self) -> None:
        """Remove everything in this folder. A symlink goes, what it points to stays."""
        with told(self.where), os.scandir(self._descriptor) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.name, dir_fd=self._descriptor)
                else:
                    os.unlink(entry.name, dir_fd=self._descriptor)

    def sync(self) -> None:
        """Wait until the volume has this folder's entries."""
        with told(self.where):
            os.fsync(self._descriptor)

    @contextmanager
    def locked(self, timeout_seconds: float) -> Iterator[None]:
        """Hold this folder's lock against other threads, processes and pods of one volume.

        The kernel drops the lock when its holder dies, however it dies.
        """
        deadline = time.monotonic() + timeout_seconds
        with told("the lock of the changes"):
            while not self._lock():
                if time.monotonic() > deadline:
                    raise ChangeError(
                        f"another call has held the changes for {timeout_seconds:g} s; try again"
                    )
                time.sleep(LOCK_POLL_SECONDS)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _lock(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _path(self, name: str) -> str:
        """Return where a name lies, for messages. Only single names are looked up."""
        if name in {"", ".", ".."} or "/" in name or "\0" in name:
            raise ChangeError(f"{shown(name)} is not the name of a file or folder")
        return f"{self.where}/{name}" if self.where else name


def _not_a_file(where: str) -> ChangeError:
    return ChangeError(f"{where} is not a regular file; symlinks, pipes and devices are not opened")
