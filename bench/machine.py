"""The machine in general words: nothing that names it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

BUSY_LOAD = 0.7
"""Above this, others work on the machine, and the figures are theirs too."""


def words() -> str:
    """Describe it: cores, kind, Python."""
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores ({platform.machine()}), {platform.system()}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Get the installed versions of libraries."""
    return {name: version(name) for name in distributions}


def load() -> float:
    """Get how many processes wanted a core over the last minute."""
    return os.getloadavg()[0]
