"""Limits of this machine that several clusters reach together."""

from __future__ import annotations

import contextlib
from pathlib import Path

_NEEDED = {
    # Each service and each shim watches files; the usual 128 are used up by the second cluster,
    # whose kube-proxy then ends with "too many open files".
    "fs/inotify/max_user_instances": 8192,
    "fs/inotify/max_user_watches": 524288,
}


def raise_limits(root: Path = Path("/proc/sys")) -> None:
    """Raise what is too low, until the machine starts again; nothing is ever lowered.

    Where it is not ours to change (in a container), it is left: one cluster may do.
    """
    for name, needed in _NEEDED.items():
        path = root / name
        with contextlib.suppress(OSError):
            if int(path.read_text()) < needed:
                path.write_text(f"{needed}\n")
