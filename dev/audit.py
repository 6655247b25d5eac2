"""Ask which locked dependencies have known weaknesses: `make audit`.

Every lock is looked at, by pip-audit in an environment of its own. Nothing is installed of what is
looked at: names and versions go to the database of advisories, which has to be reached.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
ENVIRONMENT = ROOT / "build/audit"
SERVICE = "osv"
"""Open Source Vulnerabilities: it has the advisories of PyPI, of GitHub and of the projects."""


def environment() -> Path:
    """Install pip-audit from its lock, and say where; a moment once it is there."""
    uv, python = str(Path(sys.executable).with_name("uv")), ENVIRONMENT / "bin/python"
    if not python.exists():
        venv = [uv, "venv", "--quiet", "--python", sys.executable, str(ENVIRONMENT)]
        subprocess.run(venv, check=True)
    lock = str(LOCKS / "audit.txt")
    sync = [uv, "pip", "sync", "--quiet", "--require-hashes", lock, "--python", str(python)]
    subprocess.run(sync, check=True)
    return ENVIRONMENT


def audit(lock: Path, service_url: str | None) -> bool:
    """Look at a lock, and say whether nothing is known against it; what is known is printed.

    Args:
        lock: The file.
        service_url: Where to ask, if not at the public database.
    """
    print(f"{lock.name}:", flush=True)
    where = [] if service_url is None else ["--osv-url", service_url]
    command = [
        *(str(environment() / "bin/pip-audit"), "--vulnerability-service", SERVICE, *where),
        *("--disable-pip", "--require-hashes", "--progress-spinner", "off"),
        *("--requirement", str(lock)),
    ]
    return subprocess.run(command, check=False).returncode == 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Look at every lock; the exit code is 1 where something is known or nobody could be asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service-url", help="ask a mirror of the database there")
    parser.add_argument("locks", nargs="*", type=Path, default=sorted(LOCKS.glob("*.txt")))
    options = parser.parse_args(arguments)
    clean = [audit(lock, options.service_url) for lock in options.locks]
    sys.exit(0 if all(clean) else 1)


if __name__ == "__main__":
    main()
