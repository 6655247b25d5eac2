"""The image under our images: from a registry where one is reachable, else made by mmdebstrap."""

from __future__ import annotations

import json
import platform
import re
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dev.images.cache import digest, made_once, superseded
from dev.images.engines import Build, Engine, run
from dev.images.rootfs import MODIFIED
from dev.images.target import PYTHON, REGISTRY, SUITE, ImageError
from dev.prerequisites import Program, require

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FROM_REGISTRY = f"python:{'.'.join(map(str, PYTHON))}-slim-{SUITE}"

PACKAGES = ("ca-certificates", "libstdc++6", "python3", "python3-pip", "tzdata")
"""What the build stages need on top of Debian's essential packages."""

KEPT_BASES = 2

MMDEBSTRAP = (Program("mmdebstrap", "mmdebstrap"),)

SOURCES = (
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d/*.list",
    "/etc/apt/sources.list.d/*.sources",
)


@dataclass(frozen=True)
class Base:
    """A base image.

    Attributes:
        reference: its name.
        identity: what its content is known by.
        archive: the root file system it is made of, unless it comes from a registry.
    """

    reference: str
    identity: str
    archive: str | None = None

    def ensure(self, engine: Engine) -> None:
        """Make sure that an engine has it.

        Raises:
            ImageError: It is gone from its registry, or its archive from the cache.
        """
        if engine.identify(self.reference) is not None:
            return
        if self.archive is not None and Path(self.archive).is_file():
            _import(engine, Path(self.archive), self.reference)
        elif self.archive is not None or not engine.pull(self.reference):
            raise ImageError(
                f"{engine.name} cannot get {self.reference}; "
                "`python -m dev.images build --fresh-base` makes a base anew"
            )


def _folder(cache: Path) -> Path:
    return cache / "base" / digest(FROM_REGISTRY, SUITE, *PACKAGES)


def known(cache: Path) -> Base | None:
    """Return the base that was made before, if any."""
    record = _folder(cache) / "base.json"
    return Base(**json.loads(record.read_text())) if record.is_file() else None


def make(cache: Path, engine: Engine) -> Base:
    """Return the base, fetching or making it if need be."""
    with made_once(_folder(cache)) as folder:
        if folder is not None:
            base = _pulled(engine) or _debootstrapped(folder, _folder(cache))
            (folder / "base.json").write_text(json.dumps(asdict(base)))
    for old in superseded(cache / "base", KEPT_BASES):
        shutil.rmtree(old)
    made = known(cache)
    if made is None:
        raise ImageError(f"{_folder(cache)} has no base.json; remove the folder and build again")
    made.ensure(engine)
    return made


def given(reference: str, engine: Engine) -> Base:
    """Return the base that a person named.

    Raises:
        ImageError: It is neither here nor in a registry.
    """
    identity = engine.identify(reference)
    if identity is None and engine.pull(reference):
        identity = engine.identify(reference)
    if identity is None:
        raise ImageError(f"--base: {engine.name} neither has {reference} nor can it pull it")
    return Base(reference, identity)


def _pulled(engine: Engine) -> Base | None:
    if not engine.pull(FROM_REGISTRY):
        return None
    identity = engine.identify(FROM_REGISTRY)
    return None if identity is None else Base(FROM_REGISTRY, identity)


def _debootstrapped(folder: Path, final: Path) -> Base:
    require(MMDEBSTRAP)
    archive = folder / "rootfs.tar"
    sources = folder / "debian.sources"
    sources.write_text("\n".join(debian_sources(_host_sources(), _host_suite())))
    run(
        *("env", f"SOURCE_DATE_EPOCH={MODIFIED}", "mmdebstrap", "--variant=essential"),
        *("--aptopt=APT::Install-Recommends false", f"--include={','.join(PACKAGES)}"),
        *(SUITE, str(archive), *([str(sources)] if sources.read_text() else [])),
    )
    identity = digest(archive.read_bytes())
    reference = f"{REGISTRY}/base:{SUITE}-{identity[:12]}"
    return Base(reference, identity, str(final / archive.name))


def _import(engine: Engine, archive: Path, reference: str) -> None:
    with tempfile.TemporaryDirectory(dir=archive.parent) as context:
        (Path(context) / archive.name).hardlink_to(archive)
        containerfile = Path(context, "Containerfile")
        containerfile.write_text(f"FROM scratch\nADD {archive.name} /\n")
        engine.build(Build(containerfile, Path(context), reference))


def debian_sources(sources: Iterable[str], suite: str | None) -> Iterator[str]:
    """Yield this machine's own Debian sources, turned to the release that the images use.

    So the packages come from the mirror this machine uses, whatever it is. On another system there
    are none, and mmdebstrap asks Debian itself.

    Args:
        sources: the contents of apt's sources, in either of their two forms.
        suite: the release this machine runs, None if it is not Debian.
    """
    if suite is None:
        return
    ours = re.compile(rf"(?<=[\s:]){suite}(?=[\s-])")
    for text in sources:
        for entry in re.split(r"\n\s*\n" if "URIs:" in text else r"\n", text):
            lines = [line for line in entry.splitlines() if not line.startswith("#")]
            kept = "\n".join(lines) + "\n"
            if ours.search(kept):
                yield ours.sub(SUITE, kept)


def _host_sources() -> Iterator[str]:
    for pattern in SOURCES:
        for path in sorted(Path("/").glob(pattern.lstrip("/"))):
            yield path.read_text()


def _host_suite() -> str | None:
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        return None
    return system.get("VERSION_CODENAME") if system.get("ID") == "debian" else None
