"""Building: what an image is made of decides its tag, and nothing is built twice."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dev import child, compiled
from dev.images import archive, base, cache, engines, npm, source, wheels
from dev.images.target import ROOT, Image, ImageError, version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dev.cluster.progress import Progress
    from dev.images.base import Base
    from dev.images.engines import Engine

ROOTFS = Path("dev/images/rootfs.py")
TAG_DIGITS = 12
RUNTIME = "runtime"
"""The image that brings the helper of commands to the containers of others."""


@dataclass(frozen=True)
class Built:
    """An image that is there.

    Attributes:
        ref: its name; the tag changes whenever the content does, so that a pod which names it
            never gets an older one from its node.
        tar: a docker archive of it.
        digest: the digest of its configuration.
        layers: the digests of its layers.
    """

    ref: str
    tar: str
    digest: str
    layers: tuple[str, ...]


class Builder:
    """Builds images into a cache and finds them there.

    What an image is made of is looked at once: a builder goes on giving the same image while
    sources change and commits are made.

    Args:
        folder: the cache.
        progress: told of every step that takes time.
        base_reference: the base image to use instead of the usual one.
    """

    def __init__(self, folder: Path, progress: Progress, base_reference: str | None = None) -> None:
        self._cache = folder
        self._progress = progress
        self._base_reference = base_reference
        self._keys: dict[Image, str] = {}
        self._known_labels: dict[Image, Mapping[str, str]] = {}

    @cached_property
    def engine(self) -> Engine:
        """The engine; looked for only when something has to be built."""
        return engines.choose(engines.known(self._cache / "buildah"))

    @cached_property
    def base(self) -> Base:
        """The base image; fetched or made if it is not known yet."""
        if self._base_reference is not None:
            return base.given(self._base_reference, self.engine)
        known = base.known(self._cache)
        if known is not None:
            return known
        with self._progress.step(f"base image ({base.FROM_REGISTRY}, or by mmdebstrap)"):
            return base.make(self._cache, self.engine)

    @cached_property
    def _plain_wheel(self) -> tuple[str, bytes]:
        return _wheel(None)

    @cached_property
    def _compiled_wheel(self) -> tuple[str, bytes]:
        try:
            return _wheel(compiled.build())
        except compiled.CompileError as error:
            raise ImageError(str(error)) from error

    @cached_property
    def _compiles(self) -> bool:
        """Whether the runtime's hot path is compiled for its image; slower, it works as well."""
        reason = wheels.why_not_compiled()
        if reason is not None:
            print(f"the runtime is not compiled: {reason}", file=sys.stderr)
        return reason is None

    def _distribution(self, image: Image) -> tuple[str, bytes]:
        is_runtime = image.name == RUNTIME
        return self._compiled_wheel if is_runtime and self._compiles else self._plain_wheel

    def find(self, image: Image) -> Built | None:
        """Return an image as its sources are now, if it was built; nothing is fetched or built."""
        if self._base_reference is None and base.known(self._cache) is None:
            return None
        record = self._folder(image) / "image.json"
        return _read(record) if record.is_file() else None

    def build(self, image: Image) -> Built:
        """Return an image as its sources are now, building it if need be."""
        final = self._folder(image)
        with cache.made_once(final) as folder:
            if folder is not None:
                with self._progress.step(f"image {image.repository}"):
                    built = self.build_into(image, folder, self._reference(image), final)
                (folder / "image.json").write_text(json.dumps(asdict(built), indent=2))
                self._forget_superseded(final.parent)
        final.touch()
        return _read(final / "image.json")

    def build_into(
        self,
        image: Image,
        folder: Path,
        reference: str,
        final: Path | None = None,
        *,
        cached: bool = True,
    ) -> Built:
        """Build an image whether it was built or not.

        Args:
            image: the image.
            folder: where its archive is written.
            reference: its name.
            final: the name that the folder is going to have, if another.
            cached: whether the engine may reuse steps of earlier builds.
        """
        tar = folder / "image.tar"
        with tempfile.TemporaryDirectory() as context:
            self._fill(image, Path(context))
            self.engine.build(
                engines.Build(
                    containerfile=image.folder / "Containerfile",
                    context=Path(context),
                    reference=reference,
                    arguments=self._arguments(image),
                    labels=self._labels(image),
                    cached=cached,
                )
            )
        self.engine.save(reference, tar)
        read = archive.read(tar)
        return Built(reference, str((final or folder) / tar.name), read.digest, tuple(read.layers))

    def ensure_loaded(self, image: Image) -> Built:
        """Build an image if need be, and make sure that the engine has it."""
        built = self.build(image)
        if self.engine.identify(built.ref) != built.digest:
            self.engine.load(Path(built.tar))
        return built

    def _forget_superseded(self, folder: Path) -> None:
        for old in cache.superseded(folder):
            self.engine.remove(_read(old / "image.json").ref)
            shutil.rmtree(old)

    def _fill(self, image: Image, context: Path) -> None:
        if not image.is_ours:
            shutil.copytree(image.folder, context, ignore=_left_behind, dirs_exist_ok=True)
            if image.is_from_npm:
                modules = npm.install(self._cache, image.folder)
                shutil.copytree(modules, context / modules.name, symlinks=True)
            return
        lock = ROOT / "requirements" / f"{image.name}.txt"
        downloaded = wheels.download(self._cache, lock)
        shutil.copytree(downloaded, context / "wheels")
        shutil.copy(lock, context / "requirements.txt")
        shutil.copy(ROOT / ROOTFS, context)
        name, content = self._distribution(image)
        (context / "dist").mkdir()
        (context / "dist" / name).write_bytes(content)
        if image.name == RUNTIME:
            child.build(context / "child" / "breakwater-child")

    def _arguments(self, image: Image) -> Mapping[str, str]:
        if image.is_ours:
            self.base.ensure(self.engine)
            return {"BASE": self.base.reference}
        return {"RUNTIME": self.ensure_loaded(Image("runtime")).ref}

    def _inputs(self, image: Image) -> Iterator[str | bytes]:
        """Yield everything that decides what an image is."""
        yield from (f"{name}={value}" for name, value in self._labels(image).items())
        if image.is_ours:
            yield self.base.identity
            yield (image.folder / "Containerfile").read_bytes()
            yield (ROOT / "requirements" / f"{image.name}.txt").read_bytes()
            yield (ROOT / ROOTFS).read_bytes()
            yield self._plain_wheel[1]
            if image.name == RUNTIME:
                yield child.identity()
                if self._compiles:
                    yield compiled.digest()
        else:
            yield from self._inputs(Image("runtime"))
            yield from cache.content(image.folder)

    def _key(self, image: Image) -> str:
        if image not in self._keys:
            self._keys[image] = cache.digest(*self._inputs(image))
        return self._keys[image]

    def _labels(self, image: Image) -> Mapping[str, str]:
        if image not in self._known_labels:
            self._known_labels[image] = source.labels(image)
        return self._known_labels[image]

    def _reference(self, image: Image) -> str:
        # "+" is for local versions in Python, and not allowed in a tag.
        return image.reference(f"{version()}-{self._key(image)[:TAG_DIGITS]}".replace("+", "-"))

    def _folder(self, image: Image) -> Path:
        return self._cache / image.repository / self._key(image)


def _left_behind(_folder: str, names: list[str]) -> set[str]:
    return set(filter(cache.is_left_behind, names))


def _read(record: Path) -> Built:
    built = json.loads(record.read_text())
    if not Path(built["tar"]).is_file():
        raise ImageError(f"{record} names an archive that is gone; remove {record.parent}")
    return Built(**{**built, "layers": tuple(built["layers"])})


def _wheel(libraries: Path | None) -> tuple[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        wheel = wheels.own(Path(folder), libraries)
        return wheel.name, wheel.read_bytes()
