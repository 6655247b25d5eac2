"""`python -m dev.cluster ...`, and `python3 dev/cluster ...` with whichever Python there is."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "bin" / "python"


def run() -> int:
    """Run the command line here, or in the project's own environment if this one lacks parts."""
    if importlib.util.find_spec("cryptography") is None:
        if not PYTHON.exists() or Path(sys.prefix) == PYTHON.parents[1]:
            print(f"error: {PYTHON} is missing or incomplete; run `make venv`", file=sys.stderr)
            return 1
        os.chdir(ROOT)
        os.execv(PYTHON, [str(PYTHON), "-m", "dev.cluster", *sys.argv[1:]])
    if not __package__:
        # Run as a folder: Python has put the folder itself in front, whose modules are no
        # top-level ones.
        sys.path[0] = str(ROOT)
    from dev.cluster.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(run())
