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
    """Describe it: cores, kind, Python, and whether others keep it busy."""
    cores = len(os.sched_getaffinity(0))
    described = (
        f"{cores} cores ({platform.machine()}), {platform.system()}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )
    load = os.getloadavg()[0]
    if load <= BUSY_LOAD:
        return described
    return f"{described}, **busy with other work (load {load:.1f}): not figures to keep**"


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Get the installed versions of libraries."""
    return {name: version(name) for name in distributions}
