"""A pod's volumes as folders of this machine, changed as kubelet changes them: all at once."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from breakwater_operator.cli.localise import Content
from breakwater_operator.cli.pod import Pod
from breakwater_operator.cli.sidecar import Sidecar


@dataclass
class Folder:
    """Where the volumes of one pod are."""

    root: Path
    """A folder that nobody else can look into."""
    data: Path
    """Where volumes are that the server itself fills."""
    _versions: "count[int]" = field(default_factory=count)

    def local(self, container: Pod | Sidecar) -> Mapping[str, Path]:
        """Say where each folder of a container is here."""
        files = {path: self.root / _name(path) for path in container.files}
        kept = {path: self.data / name for path, name in container.folders.items()}
        return files | kept | {path: self.root / name for path, name in container.scratch.items()}

    def of(self, sidecar: Sidecar) -> "Folder":
        """Say where the volumes of another container are."""
        return Folder(self.root / f"backend-{sidecar.name}", self.data, self._versions)

    def config(self, pod: Pod) -> Path:
        """Say where the settings file is here."""
        folder, _, name = pod.config.rpartition("/")
        return self.local(pod)[folder] / name

    def write(self, pod: Pod) -> None:
        """Make the volumes what a pod says, the settings last.

        Raises:
            OSError: A folder cannot be made.
        """
        local = self._made(pod)
        for path in sorted(pod.files, key=lambda path: pod.config.startswith(f"{path}/")):
            self._swap(local[path], pod.localised(local).files[path])

        for sidecar in pod.sidecars:
            self.of(sidecar)._write_plain(sidecar)

    def _write_plain(self, sidecar: Sidecar) -> None:
        local = self._made(sidecar)
        for path, content in sidecar.files.items():
            self._swap(local[path], content)

    def _made(self, container: Pod | Sidecar) -> Mapping[str, Path]:
        local = self.local(container)
        for path in (*container.folders, *container.scratch):
            local[path].mkdir(parents=True, exist_ok=True)
        return local

    def empty(self, pod: Pod) -> None:
        """Empty what is empty when a pod starts."""
        for sidecar in pod.sidecars:
            of = self.of(sidecar)
            for name in sidecar.scratch.values():
                shutil.rmtree(of.root / name, ignore_errors=True)

    def _swap(self, link: Path, content: Content) -> None:
        """Put a new version in the place of the old one in a single step."""
        old = link.resolve() if link.is_symlink() else None
        if old is not None and _read(old) == dict(content):
            return
        version = link.with_name(f"{link.name}.{next(self._versions)}")
        for name, text in content.items():
            file = version / name
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.touch(mode=0o600)
            file.write_bytes(text)
        version.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = link.with_name(f"{link.name}.new")
        new.symlink_to(version.name)
        new.replace(link)
        if old is not None:
            shutil.rmtree(old)


def _read(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def _name(path: str) -> str:
    return path.strip("/").replace("/", "-")
