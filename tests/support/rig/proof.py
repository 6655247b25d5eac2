"""Long proofs: how much of one to run, where it was when it was stopped, and what came of it.

A proof runs in parts. Each part that was done stays done: a proof that is stopped goes on where it
was when it is started again, on the same source. What came of it stands under docs/proofs/.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[3]
PAGES = ROOT / "docs/proofs"
STATES = ROOT / ".cache/proofs"


def git(*arguments: str) -> str:
    """Ask git about the source."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def source_of_runtime() -> str:
    """Name the source that a proof is about: the same name, the same runtime."""
    return git("rev-parse", "HEAD:runtime", "HEAD:contract").replace("\n", " ")


def source_of_operator() -> str:
    """The same for a proof that is about the operator."""
    return git("rev-parse", "HEAD:operator", "HEAD:contract").replace("\n", " ")


@dataclass
class Proof:
    """One long proof."""

    name: str
    total: int
    """How many of what is counted it takes to be whole."""
    part: int
    """How many a part has."""
    whole: int | None = None
    """How many there are without a share, where a larger share goes on from what a smaller one did:
    that is kept until all are done."""
    pages: Path = PAGES
    states: Path = STATES
    source: str = field(default_factory=source_of_runtime)
    commit: str = field(default_factory=lambda: git("log", "-1", "--format=%h, %cs"))
    done: list[dict[str, Any]] = field(default_factory=list)
    """What came of each part."""

    def __post_init__(self) -> None:
        kept = self._file.read_text() if self._file.exists() else "{}"
        state = json.loads(kept)
        if state.get("plan") == self._plan:
            self.done = state["done"]

    @property
    def _file(self) -> Path:
        return self.states / f"{self.name}.json"

    @property
    def _plan(self) -> list[Any]:
        return [self.source, self.whole or self.total, self.part]

    def parts(self) -> Iterator[int]:
        """Number the parts that are still to be done."""
        yield from range(len(self.done), -(-self.total // self.part))

    def keep(self, came_of_it: dict[str, Any]) -> None:
        """Keep what came of a part."""
        self.done.append(came_of_it)
        self.states.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps({"plan": self._plan, "done": self.done}))

    def write(self, title: str, text: str, figures: Mapping[str, object]) -> None:
        """Write the page, and forget where the proof was if it is whole."""
        rows = "".join(f"| {name} | {value} |\n" for name, value in figures.items())
        self.pages.mkdir(parents=True, exist_ok=True)
        (self.pages / f"{self.name}.md").write_text(
            f"# {title}\n\n{text}\n\nWritten by `make prove`.\n\n| | |\n|---|---|\n{rows}"
            f"| source | {self.commit} |\n"
            f"| machine | {os.cpu_count()} cores, Linux {platform.release()}, "
            f"Python {platform.python_version()} |\n"
        )
        if self.whole is None or len(self.done) * self.part >= self.whole:
            self._file.unlink(missing_ok=True)


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """Fit a line through points, and say how steep it is."""
    count = len(samples)
    mean_x = sum(x for x, _ in samples) / count
    mean_y = sum(y for _, y in samples) / count
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread
