"""What the images are built for, and by what name they are known."""

from __future__ import annotations

import platform
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = "breakwater.local"
"""The registry part of local names; no such registry exists, so nothing is ever pulled from it."""

SUITE = "bookworm"
"""The Debian release under the images."""

GLIBC = 36
"""The minor version of that release's glibc 2: the newest manylinux wheels it can load."""

PYTHON = (3, 11)
"""The Python of that release."""

EXAMPLES = "examples"
OURS = ("operator", "runtime")

LOCK = "package-lock.json"
"""What an example from npm has beside its Containerfile."""


class ImageError(Exception):
    """An image cannot be built, found or pushed; the message says what to do."""


@dataclass(frozen=True)
class Image:
    """One of the images of this repository.

    Attributes:
        name: what the command line calls it: operator, runtime, or the folder of an example.
    """

    name: str

    @property
    def is_ours(self) -> bool:
        """Say whether it is made from the base, rather than FROM the runtime's image."""
        return self.name in OURS

    @property
    def folder(self) -> Path:
        """The folder of its Containerfile."""
        return ROOT / self.name if self.is_ours else ROOT / EXAMPLES / self.name

    @property
    def is_from_npm(self) -> bool:
        """Say whether packages of npm are in it, Node among them: a hundred megabytes."""
        return (self.folder / LOCK).is_file()

    @property
    def repository(self) -> str:
        """Its name in a registry."""
        return f"breakwater-{self.name}" if self.is_ours else f"example-{self.name}"

    def reference(self, tag: str) -> str:
        """Its local name."""
        return f"{REGISTRY}/{self.repository}:{tag}"


def images() -> list[Image]:
    """List all images, each after the one it is made from."""
    found = sorted((ROOT / EXAMPLES).glob("*/Containerfile"))
    return [*map(Image, OURS), *(Image(path.parent.name) for path in found)]


def image(name: str) -> Image:
    """Find an image by the name that the command line uses.

    Raises:
        ImageError: There is none.
    """
    known = {image.name: image for image in images()}
    if name not in known:
        raise ImageError(f"{name}: no such image; there are {', '.join(known)}")
    return known[name]


def version() -> str:
    """Return the version of our distribution."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def machine() -> str:
    """Return this machine's architecture, as wheels call it."""
    name = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)
