"""Where processes that tests start find their modules."""

import os
from pathlib import Path

import breakwater_runtime

RUNTIME = Path(breakwater_runtime.__file__).parent.parent


def python_path(*folders: Path) -> str:
    """Have folders, and the same runtime that the tests import: its sources, or compiled."""
    return os.pathsep.join(map(str, (*folders, RUNTIME)))
