"""The container of a backend as a process of this machine: its own command, or its image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from breakwater_operator.api.errors import Fault, SpecError
from breakwater_operator.api.quantity import amount
from breakwater_operator.cli.localise import Content, localised
from breakwater_operator.cli.machine import ENGINES, Machine
from breakwater_operator.render.containers import HELPER
from breakwater_operator.render.manifest import Manifest

PREFIX = "backend-"
"""What stands before the name of a backend in that of its container."""

SOCKET, PEER, WORK = "--socket", "--peer", "--work"
LABEL = "breakwater.dev/run"
"""Marks the containers of one run of the command, so that none of them is left behind."""


@dataclass(frozen=True)
class Image:
    """What is run in a container here too."""

    engine: str
    reference: str
    has_entry_point: bool
    """Whether the command takes the place of the image's own."""
    memory: str | None


@dataclass(frozen=True)
class Sidecar:
    """What the container of a backend runs, with paths as they are in the pod."""

    name: str
    """The backend."""
    words: tuple[str, ...]
    """Its command."""
    options: Mapping[str, str] | None
    """Those of the helper that is to be its parent; None: it needs no helper."""
    variables: Mapping[str, str]
    files: Mapping[str, Content]
    """Volumes that Kubernetes fills, by the folder at which they appear."""
    folders: Mapping[str, str]
    """Volumes that stay: their names by folder."""
    scratch: Mapping[str, str]
    """Folders that are empty at the start."""
    listens: bool
    """Whether it is asked over HTTP, at a port of this machine; else over its standard streams."""
    image: Image | None
    """Its image, where that is run; None: the command is a program of this machine."""

    @property
    def program(self) -> str:
        """What runs, for people."""
        return self.image.reference if self.image is not None else self.words[0]

    def command(self, machine: Machine, local: Mapping[str, Path], run: str) -> list[str]:
        """Say what is started here, without the helper.

        Args:
            machine: Where.
            local: The folders of this machine by those of the container.
            run: Names this run of ours.
        """
        if self.image is None:
            return [localised(word, local) for word in self.words]
        return [*self._engine(self.image, machine, run), *self._mounts(local), *self._inside()]

    def _engine(self, image: Image, machine: Machine, run: str) -> list[str]:
        is_podman = Path(image.engine).name == "podman"
        # The helper gives each child a home of its own, and the engine has its images in ours.
        home = ("env", f"HOME={machine.home}") if self.options is not None else ()
        return [
            *(*home, image.engine, "run", "--rm", "--label", f"{LABEL}={run}"),
            *(("--network", "host") if self.listens else ("--interactive",)),
            *("--user", f"{machine.user}:{machine.group}"),
            *(("--userns", "keep-id") if is_podman and machine.user else ()),
            *("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *(("--memory", image.memory) if image.memory is not None else ()),
        ]

    def _mounts(self, local: Mapping[str, Path]) -> list[str]:
        scratch = [word for path in self.scratch for word in ("--tmpfs", f"{path}:mode=1777")]
        files = [word for path in self.files for word in ("--volume", f"{local[path]}:{path}:ro")]
        kept = [word for path in self.folders for word in ("--volume", f"{local[path]}:{path}")]
        return [*scratch, *files, *kept]

    def _inside(self) -> list[str]:
        """Say what runs in the container; values of variables are on no command line."""
        image, home = self.image, self.variables.get("HOME")
        if image is None:
            raise ValueError(f"backend {self.name} runs no image")
        names = [name for name in self.variables if name != "HOME"]
        given = [word for name in names for word in ("--env", name)]
        home_of_its_own = ("--env", f"HOME={home}") if home is not None else ()
        entry = ["--entrypoint", self.words[0]] if image.has_entry_point else []
        words = self.words[1:] if image.has_entry_point else self.words
        return [*given, *home_of_its_own, *entry, image.reference, *words]

    def environment(self, base: Mapping[str, str], local: Mapping[str, Path]) -> dict[str, str]:
        """Say what it finds in its environment here."""
        if self.image is not None:
            return {**base, **{k: v for k, v in self.variables.items() if k != "HOME"}}
        here = {name: localised(value, local) for name, value in self.variables.items()}
        return {**base, **here}

    def helped(self, socket: Path, work: Path, machine: Machine) -> list[str]:
        """Say what the helper is told before the command."""
        options = dict(self.options or {})
        options |= {SOCKET: str(socket), PEER: str(machine.user), WORK: str(work)}
        return [word for option in options.items() for word in option]


def sidecar(container: Manifest, made: Sidecar, machine: Machine) -> Sidecar:
    """Decide how a container runs here.

    Args:
        container: It, as rendered.
        made: Its volumes and variables.
        machine: What there is.

    Raises:
        SpecError: It cannot run here.
    """
    command = [str(word) for word in container.get("command", ())]
    words = [*command, *(str(word) for word in container.get("args", ()))]
    options: dict[str, str] | None = None
    if command and command[0].endswith(f"/{HELPER}"):
        end = words.index("--")
        options = dict(zip(words[1:end:2], words[2:end:2], strict=True))
        command = words = words[end + 1 :]
    made = replace(made, words=tuple(words), options=options)
    if command and machine.has(command[0]) and not machine.images:
        return made
    if machine.engine is None:
        raise _impossible(made.name, container["image"], command, machine)
    limits = container["resources"].get("limits", {})
    memory = _bytes(limits.get("memory"))
    has_entry_point = bool(command)
    image = Image(machine.engine, container["image"], has_entry_point, memory)
    return replace(made, image=image)


def _bytes(memory: str | None) -> str | None:
    return str(int(amount(memory))) if memory is not None else None


def _impossible(name: str, image: str, command: Sequence[str], machine: Machine) -> SpecError:
    lacking = f"of {' and '.join(ENGINES)} {machine.no_engine} to run {image}"
    if not command:
        message = (
            f"it has no command that could run here, and {lacking}; write its command, or have one "
            "of them run"
        )
    else:
        message = (
            f"{command[0]} is no program of this machine, and {lacking}; install it, or have one "
            "of them run"
        )
    return SpecError([Fault(f"spec.backends[{name}].container", message)])
