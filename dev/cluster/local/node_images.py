"""Images in the node's containerd."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dev.cluster import files, images
from dev.cluster.local.node import PAUSE_IMAGE
from dev.cluster.provider import ClusterError

if TYPE_CHECKING:
    from dev.cluster.local.site import Site
    from dev.cluster.progress import Progress

_NAMESPACE = "k8s.io"
"""The kubelet sees only what is in this one."""


def answers(site: Site) -> bool:
    """Whether containerd takes requests."""
    return site.layout.containerd_socket.exists() and _ctr(site, "version").returncode == 0


def load(site: Site, source: str, progress: Progress) -> None:
    """Import an image, unless it was imported before and is there still.

    containerd gives an imported image a digest of its own; which one belongs to which content is
    written down after each import.
    """
    image = images.find(source)
    imported = _imported(site)
    present = _present(site)
    names = imported.get(image.identity)
    if names and all(present.get(name) == digest for name, digest in names.items()):
        progress.say(f"{source} is loaded already")
        return
    with progress.step(f"loading {source}"), image.archive() as archive:
        _import(site, archive)
        present = _present(site)
        names = {name: present[name] for name in images.archive_names(archive) if name in present}
    files.write(site.layout.images, json.dumps({**imported, image.identity: names}, indent=1))


def load_pause(site: Site) -> None:
    """Import the pause image, which every pod begins with."""
    program = site.folders["pause"] / "pause"
    identity = f"pause:{hashlib.sha256(program.read_bytes()).hexdigest()}"
    imported = _imported(site)
    if identity in imported and PAUSE_IMAGE in _present(site):
        return
    with tempfile.TemporaryDirectory(prefix="breakwater-image-") as folder:
        archive = Path(folder) / "pause.tar"
        images.write_single_program_archive(archive, program, PAUSE_IMAGE)
        _import(site, archive)
    names = {PAUSE_IMAGE: _present(site)[PAUSE_IMAGE]}
    files.write(site.layout.images, json.dumps({**imported, identity: names}, indent=1))


def _import(site: Site, archive: Path) -> None:
    done = _ctr(site, "images", "import", str(archive))
    if done.returncode:
        raise ClusterError(f"containerd cannot import {archive}: {done.stderr.strip()}")


def _imported(site: Site) -> dict[str, dict[str, str]]:
    """Per content: the names it was given, and the digests they then had."""
    try:
        stored: dict[str, dict[str, str]] = json.loads(site.layout.images.read_text())
    except FileNotFoundError:
        return {}
    return stored


def _present(site: Site) -> dict[str, str]:
    """The digests of the images that are there, by name."""
    listed = _ctr(site, "images", "list").stdout.splitlines()[1:]
    return {fields[0]: fields[2] for fields in map(str.split, listed)}


def _ctr(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = site.program("ctr", "containerd")
    command = [program, "--address", str(site.layout.containerd_socket), "--namespace", _NAMESPACE]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
