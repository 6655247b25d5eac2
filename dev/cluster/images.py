"""Images on this machine: tar files, or names in an image tool's storage."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dev.cluster.provider import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_REFERENCE_NAME = "org.opencontainers.image.ref.name"
_CONTAINERD_NAME = "io.containerd.image.name"


@dataclass(frozen=True, kw_only=True)
class Image:
    """Something that can be loaded into a cluster."""

    source: str
    """What the user called it."""
    identity: str
    """Changes whenever the content does."""
    tool: str = ""
    """Who has it in its storage; empty for a tar file."""

    @contextlib.contextmanager
    def archive(self) -> Iterator[Path]:
        """A tar file of it, gone afterwards unless it was the user's own."""
        if not self.tool:
            yield Path(self.source)
            return
        with tempfile.TemporaryDirectory(prefix="breakwater-image-") as folder:
            path = Path(folder) / "image.tar"
            _run([word.format(name=self.source, path=path) for word in _SAVE[self.tool]])
            yield path


_INSPECT = {
    "docker": ("docker", "image", "inspect", "--format", "{{.Id}}"),
    "podman": ("podman", "image", "inspect", "--format", "{{.Id}}"),
    "nerdctl": ("nerdctl", "image", "inspect", "--format", "{{.Id}}"),
    "buildah": ("buildah", "inspect", "--type", "image", "--format", "{{.FromImageID}}"),
}
_SAVE = {
    "docker": ("docker", "save", "--output", "{path}", "{name}"),
    "podman": ("podman", "save", "--format", "docker-archive", "--output", "{path}", "{name}"),
    "nerdctl": ("nerdctl", "save", "--output", "{path}", "{name}"),
    "buildah": ("buildah", "push", "{name}", "docker-archive:{path}:{name}"),
}


def find(source: str) -> Image:
    """Find what is meant: a tar file of that path, else an image of that name."""
    if Path(source).is_file():
        return Image(source=source, identity=archive_identity(Path(source)))
    tools = [tool for tool in _INSPECT if shutil.which(tool)]
    for tool in tools:
        done = subprocess.run(
            [*_INSPECT[tool], source], capture_output=True, text=True, check=False
        )
        if done.returncode == 0 and done.stdout.strip():
            return Image(source=source, identity=done.stdout.strip(), tool=tool)
    asked = ", ".join(tools) or f"none of {', '.join(_INSPECT)} is installed"
    raise ClusterError(
        f"{source} is neither a file nor an image that a tool here knows (asked: {asked}); "
        "build it first, or give the path of a docker or OCI archive"
    )


def push(image: Image, registry: str) -> None:
    """Push an image to a registry, under its own name there."""
    if not image.tool:
        raise ClusterError(
            f"{image.source} is a file; only images in an image tool's storage can be pushed"
        )
    target = f"{registry}/{image.source.rpartition('/')[2]}"
    if image.tool == "buildah":
        _run(["buildah", "push", image.source, f"docker://{target}"])
    else:
        _run([image.tool, "tag", image.source, target])
        _run([image.tool, "push", target])


def archive_identity(path: Path) -> str:
    """Name an archive's content: its manifest names every layer by hash."""
    return hashlib.sha256(_manifest(path)[1]).hexdigest()


def archive_names(path: Path) -> list[str]:
    """The full names that an archive gives its images."""
    member, content = _manifest(path)
    manifest = json.loads(content)
    if member == "manifest.json":
        names = [tag for image in manifest for tag in image.get("RepoTags") or []]
    else:
        notes = [entry.get("annotations", {}) for entry in manifest["manifests"]]
        names = [n.get(_CONTAINERD_NAME) or n.get(_REFERENCE_NAME) for n in notes]
    return [full_name(name) for name in names if name]


def full_name(name: str) -> str:
    """Write an image's name in full, as containerd and the kubelet do."""
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif "." not in first and ":" not in first and first != "localhost":
        name = f"docker.io/{name}"
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def write_single_program_archive(
    path: Path, program: Path, name: str, libraries: Iterable[Path] = ()
) -> None:
    """Make an image that holds one program, the same bytes each time.

    A static one needs no more; what others load lies in the image where it lies on this machine.
    """
    files = {str(library).lstrip("/"): library.read_bytes() for library in libraries}
    layer = _tar({program.name: program.read_bytes(), **files}, mode=0o755)
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    members = {
        "layer.tar": layer,
        "config.json": config,
        "manifest.json": json.dumps(manifest).encode(),
    }
    path.write_bytes(_tar(members, mode=0o644))


_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def _tar(members: dict[str, bytes], *, mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _manifest(path: Path) -> tuple[str, bytes]:
    try:
        with tarfile.open(path) as archive:
            names = archive.getnames()
            # An archive of both kinds (Docker since 25) is read the older way by containerd too.
            for member in ("manifest.json", "index.json"):
                if member in names and (file := archive.extractfile(member)):
                    return member, file.read()
    except tarfile.TarError as error:
        raise ClusterError(f"{path} cannot be read as a tar file: {error}") from error
    raise ClusterError(
        f"{path} is neither a docker archive (no manifest.json) nor an OCI archive (no index.json)"
    )


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
