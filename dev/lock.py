"""Rewrite the exact locks in requirements/: names, versions and hashes, no addresses.

Run by `make lock`. One lock per image (operator, runtime), one for development (everything), and
what development does without: two for the peers that benchmarks compare with, which want different
SDKs, one for the scanners of manifests, one for the audit of all locks; and one for uv itself, so
that a bare machine can install uv with nothing but pip.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV_REQUIREMENT = "uv>=0.9,<1"

LOCKS = {
    "operator": ["operator"],
    "runtime": ["runtime"],
    "build": ["build"],
    "dev": ["cli", "operator", "runtime", "dev"],
    "bench": ["bench"],
    "bridge": ["bridge"],
    "scan": ["scan"],
    "audit": ["audit"],
}


def compile_lock(name: str, source: str, extras: list[str], stdin: str | None = None) -> None:
    """Write requirements/<name>.txt from one source of requirements."""
    command = [
        *("uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"),
        *("--python-version", "3.11", "--no-emit-index-url", "--no-emit-find-links"),
        *("--no-annotate", "--no-header", "--no-strip-extras"),
        *(part for extra in extras for part in ("--extra", extra)),
        *("--output-file", f"requirements/{name}.txt", source, *sys.argv[1:]),
    ]
    subprocess.run(command, cwd=ROOT, check=True, input=stdin, text=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Rewrite every lock; options (`--upgrade`, `--upgrade-package X`) are handed to uv."""
    for name, extras in LOCKS.items():
        compile_lock(name, "pyproject.toml", extras)
    compile_lock("uv", "-", [], stdin=UV_REQUIREMENT)


if __name__ == "__main__":
    main()
