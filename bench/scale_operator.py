"""The operator as a process, started as in its image, but with pods that only pretend to run."""

from __future__ import annotations

import gc
import sys
from pathlib import Path


def main(pods: Path, options: list[str]) -> int:
    """Run it.

    Args:
        pods: The socket where it hears of pods, of `scale_pods.Volumes`.
        options: Its command line.
    """
    # As `breakwater_operator.start` does, and for the same reason: before anything is imported.
    gc.disable()
    from bench.scale_pods import PretendingProber
    from breakwater_operator.main import run

    return run(options, prober=PretendingProber(pods))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
