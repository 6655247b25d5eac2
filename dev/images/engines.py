"""The programs that build images: docker, podman or nerdctl where one works, else buildah."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from dev.images.rootfs import MODIFIED
from dev.images.target import ImageError
from dev.prerequisites import Program, require

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

ANSWER_SECONDS = 15
"""How long an engine may take to say that it is there; a dead one usually says so at once."""

BUILDAH = (Program("buildah", "buildah"), Program("runc", "runc"))

LAST_LINES = 40
"""How much of a failed command's output is shown: the failing step, without the history."""


@dataclass(frozen=True)
class Build:
    """One build: nothing in it may need the network."""

    containerfile: Path
    context: Path
    reference: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    cached: bool = True
    """Whether steps of earlier builds may be reused."""

    def options(self) -> list[str]:
        """Return the options that all engines understand."""
        return [
            *("--network", "none", "--file", str(self.containerfile), "--tag", self.reference),
            *(part for item in self.arguments.items() for part in ("--build-arg", "=".join(item))),
            *(part for item in self.labels.items() for part in ("--label", "=".join(item))),
            *(() if self.cached else ("--no-cache",)),
            str(self.context),
        ]


class Engine(Protocol):
    """What is asked of a program that builds images."""

    @property
    def name(self) -> str:
        """The program's name."""

    def works(self) -> bool:
        """Say whether it is installed and answers."""

    def pull(self, reference: str) -> bool:
        """Fetch an image from its registry; False if that cannot be done."""

    def identify(self, reference: str) -> str | None:
        """Return the digest of an image's configuration, or None if it is not here."""

    def build(self, build: Build) -> None:
        """Build an image."""

    def save(self, reference: str, archive: Path) -> None:
        """Write an image as a docker archive, which every container runtime can import."""

    def load(self, archive: Path) -> None:
        """Read an image from a docker archive."""

    def remove(self, reference: str) -> None:
        """Forget an image; no matter if it is not here."""

    def push(self, reference: str, target: str, *, insecure: bool) -> None:
        """Push an image to a registry under another name."""


def run(*command: str) -> str:
    """Run a command and return what it printed.

    Raises:
        ImageError: It failed; its last words are in the message.
    """
    done = subprocess.run(
        command, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode != 0:
        words = "\n".join(done.stdout.strip().splitlines()[-LAST_LINES:])
        raise ImageError(f"{' '.join(command)}\nfailed:\n{words}")
    return done.stdout


def answers(*command: str) -> bool:
    """Say whether a command succeeds soon."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=ANSWER_SECONDS)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


@dataclass(frozen=True)
class Docker:
    """An engine with docker's command line: docker, podman, nerdctl."""

    name: str = "docker"
    build_options: tuple[str, ...] = ("--build-arg", f"SOURCE_DATE_EPOCH={MODIFIED}")
    """What makes two builds of the same thing the same image."""
    insecure_push: tuple[str, ...] = ()
    """Docker takes loopback for insecure by itself, and all else from its own settings."""

    def works(self) -> bool:
        """Say whether the client's server answers: a client alone builds nothing."""
        return answers(self.name, "info") and answers(self.name, "image", "ls")

    def pull(self, reference: str) -> bool:
        """See Engine."""
        return subprocess.run([self.name, "pull", "--quiet", reference], stdout=2).returncode == 0

    def identify(self, reference: str) -> str | None:
        """See Engine."""
        done = subprocess.run(
            [self.name, "image", "inspect", reference], check=False, text=True, capture_output=True
        )
        return str(json.loads(done.stdout)[0]["Id"]) if done.returncode == 0 else None

    def build(self, build: Build) -> None:
        """See Engine."""
        run(self.name, "build", *self.build_options, *build.options())

    def save(self, reference: str, archive: Path) -> None:
        """See Engine."""
        run(self.name, "save", "--output", str(archive), reference)

    def load(self, archive: Path) -> None:
        """See Engine."""
        run(self.name, "load", "--input", str(archive))

    def remove(self, reference: str) -> None:
        """See Engine."""
        subprocess.run([self.name, "rmi", reference], check=False, capture_output=True)

    def push(self, reference: str, target: str, *, insecure: bool) -> None:
        """See Engine."""
        run(self.name, "tag", reference, target)
        run(self.name, "push", *(self.insecure_push if insecure else ()), target)


@dataclass(frozen=True)
class Buildah:
    """Buildah, which needs no server.

    Attributes:
        storage: a folder for its images. It is our own, so that nothing is left behind in the
            machine's storage, and removing the cache removes everything.
    """

    storage: Path
    name: str = "buildah"

    @property
    def _command(self) -> tuple[str, ...]:
        return (
            *("buildah", "--root", str(self.storage / "root")),
            *("--runroot", str(self.storage / "run")),
        )

    def works(self) -> bool:
        """Say whether it works; with root on Debian it is installed if it is missing."""
        require(BUILDAH)
        return answers(*self._command, "images", "--quiet")

    def pull(self, reference: str) -> bool:
        """See Engine."""
        command = [*self._command, "pull", "--quiet", reference]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def identify(self, reference: str) -> str | None:
        """See Engine."""
        command = [*self._command, "inspect", "--type", "image", "--format", "{{.FromImageID}}"]
        done = subprocess.run([*command, reference], check=False, text=True, capture_output=True)
        return f"sha256:{done.stdout.strip()}" if done.returncode == 0 else None

    def build(self, build: Build) -> None:
        """See Engine."""
        run(
            *(*self._command, "build", "--isolation", "oci", "--layers", "--pull-never"),
            *("--timestamp", str(MODIFIED), "--identity-label=false", *build.options()),
        )

    def save(self, reference: str, archive: Path) -> None:
        """See Engine."""
        self._push(reference, f"docker-archive:{archive}:{reference}")

    def load(self, archive: Path) -> None:
        """See Engine."""
        run(*self._command, "pull", "--quiet", f"docker-archive:{archive}")

    def remove(self, reference: str) -> None:
        """See Engine."""
        command = [*self._command, "rmi", reference]
        subprocess.run(command, check=False, capture_output=True)

    def push(self, reference: str, target: str, *, insecure: bool) -> None:
        """See Engine."""
        verify = "--tls-verify=false" if insecure else "--tls-verify=true"
        self._push(verify, reference, f"docker://{target}")

    def _push(self, *arguments: str) -> None:
        run(*self._command, "push", "--quiet", *arguments)


def known(storage: Path) -> tuple[Engine, ...]:
    """List the engines in the order they are tried; those without a server keep images here."""
    return (
        Docker(),
        Docker(
            "podman",
            ("--timestamp", str(MODIFIED), "--identity-label=false", "--pull=never"),
            ("--tls-verify=false",),
        ),
        Docker("nerdctl", insecure_push=("--insecure-registry",)),
        Buildah(storage),
    )


def choose(engines: Iterable[Engine]) -> Engine:
    """Return the first engine that works.

    Raises:
        ImageError: None does.
    """
    tried = []
    for engine in engines:
        if engine.works():
            return engine
        tried.append(engine.name)
    raise ImageError(f"none of {', '.join(tried)} works here; start docker, or install buildah")
