"""The files of this folder that a server is made of, as far as its manifest tells."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

MODULE_OPTION = "-m"
NOT_OURS = frozenset({"node_modules", "__pycache__"})


def watched(
    folder: Path, modules: Iterable[str], commands: Iterable[Sequence[str]]
) -> Iterator[Path]:
    """Name the files whose change starts the server again.

    Args:
        folder: Where the user's own code is.
        modules: The packages of Python backends.
        commands: Those of containers. A module after `-m` counts, and a file of the folder that a
            word names, with those of its kind beside and below it.
    """
    for module in (*modules, *(name for command in commands for name in _modules(command))):
        yield folder / f"{module}.py"
        yield from sorted((folder / module).rglob("*.py"))
    for command in commands:
        for word in command:
            yield from _beside(folder, folder / word)


def _modules(command: Sequence[str]) -> Iterator[str]:
    for option, name in pairwise(command):
        if option == MODULE_OPTION:
            yield name.partition(".")[0]


def _beside(folder: Path, file: Path) -> Iterator[Path]:
    if not (file.is_file() and file.suffix and file.resolve().is_relative_to(folder.resolve())):
        return
    if file.parent == folder:
        yield from sorted(folder.glob(f"*{file.suffix}"))
        return
    for each in sorted(file.parent.rglob(f"*{file.suffix}")):
        below = each.relative_to(file.parent).parts
        if not any(part in NOT_OURS or part.startswith(".") for part in below):
            yield each
