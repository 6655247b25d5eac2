"""What a cluster leaves on a machine, looked for from outside and without its own code."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path


def traces(name: str, state: Path, interface: str) -> list[str]:
    """Everything of a local cluster that can be found: none, if `down` did its work.

    Args:
        name: the cluster's.
        state: the folder where it keeps its state.
        interface: the host's end of its wire.
    """
    own = re.compile(rf"breakwater-{re.escape(name)}\b|/breakwater/{re.escape(name)}/|{state}/")
    found = [f"mount {line}" for line in _lines(Path("/proc/mounts")) if own.search(line)]
    found += [f"namespace {line}" for line in _run("ip", "netns", "list") if own.search(line)]
    links = [line for line in _run("ip", "-o", "link") if f"{interface}@" in line]
    # What is free is soon given to the next cluster that anybody starts.
    if not any(_is_of_another(line, name) for line in links):
        found += [f"link {line}" for line in links]
        found += [f"route {line}" for line in _run("ip", "route") if f"dev {interface} " in line]
    groups = Path("/sys/fs/cgroup").glob(f"**/breakwater-{name}")
    found += [f"cgroup {path}" for path in groups]
    files = [Path("/run/breakwater") / name, state]
    files += Path("/var/lib/cni/results").glob(f"breakwater-{name}-*")
    found += [f"file {path}" for path in files if path.exists()]
    return found + [f"process {line}" for line in _processes(own)]


def _is_of_another(link: str, name: str) -> bool:
    """Whether a wire leads to another cluster."""
    _, _, namespace = link.partition(" link-netns ")
    return bool(namespace) and namespace.split()[0] != f"breakwater-{name}"


def _processes(own: re.Pattern[str]) -> list[str]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                words = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
                words += (folder / "cgroup").read_bytes()
                title = (folder / "comm").read_text().strip()
            except OSError:
                continue
            if own.search(words.replace(b"\0", b" ").decode(errors="replace")):
                found.append(f"{folder.name} {title}")
    return found


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def _run(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
