"""What the kernel says about files, in words for the caller."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from breakwater_runtime.servers.changes.errors import ChangeError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ADVICE = {
    errno.EROFS: "the volume is mounted read-only",
    errno.ENOSPC: "the volume is full",
    errno.EDQUOT: "the volume's quota is used up",
    errno.EXDEV: "changes, its archive and .staging must lie on one volume",
    errno.EACCES: "the server's user may not do this; in a pod, set fsGroup so that it may",
    errno.EPERM: "the server's user may not do this; in a pod, set fsGroup so that it may",
}


@contextmanager
def told(where: str) -> Iterator[None]:
    """Turn what the kernel says into what the caller is told.

    Args:
        where: the file or folder below the root that it is said of.

    Raises:
        NotFoundError: There is no such file or folder.
        ChangeError: Anything else.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError(f"{where} does not exist") from error
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "see the server's log")
        raise ChangeError(f"{where}: {os.strerror(error.errno or 0)}; {advice}") from error
