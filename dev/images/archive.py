"""Docker archives: what an image is, read from the file."""

from __future__ import annotations

import hashlib
import json
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from dev.images.target import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Archive:
    """An image in a file, as `docker save` and `buildah push docker-archive:` write it."""

    path: Path
    config: dict[str, Any]
    digest: str
    """The digest of its configuration: what container runtimes call the image's id."""

    @property
    def layers(self) -> list[str]:
        """The digests of its layers, the lowest first."""
        return list(self.config["rootfs"]["diff_ids"])

    def unpack(self, folder: Path) -> None:
        """Write its root file system into a folder."""
        with tarfile.open(self.path) as outer:
            for layer in _layers(outer):
                # The image is our own; "tar" still refuses to write outside the folder.
                layer.extractall(folder, filter="tar")

    def members(self) -> Iterator[tarfile.TarInfo]:
        """Yield every file, folder and link of every layer."""
        with tarfile.open(self.path) as outer:
            for layer in _layers(outer):
                yield from layer


def read(path: Path) -> Archive:
    """Read an archive's configuration."""
    with tarfile.open(path) as outer:
        config = _file(outer, _manifest(outer)["Config"]).read()
    return Archive(path, json.loads(config), f"sha256:{hashlib.sha256(config).hexdigest()}")


def _layers(outer: tarfile.TarFile) -> Iterator[tarfile.TarFile]:
    for name in _manifest(outer)["Layers"]:
        with tarfile.open(fileobj=_file(outer, name)) as layer:
            yield layer


def _manifest(outer: tarfile.TarFile) -> dict[str, Any]:
    (image,) = json.loads(_file(outer, "manifest.json").read())
    return dict(image)


def _file(outer: tarfile.TarFile, name: str) -> IO[bytes]:
    file = outer.extractfile(name)
    if file is None:
        raise ImageError(f"{outer.name!r} is no docker archive: {name} is not a file in it")
    return file
