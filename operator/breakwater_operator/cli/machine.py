"""What this machine has to run the containers of backends with."""

import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ENGINES = ("docker", "podman")
ANSWER_SECONDS = 20.0
"""How long one may take to say that it works; podman sets up its storage the first time."""


@dataclass(frozen=True)
class Machine:
    """This machine, as far as containers matter."""

    path: str
    """Where programs are looked for."""
    user: int
    """Who we are."""
    group: int
    home: str
    images: bool = False
    """Whether images are run even where their command could run without one."""

    def has(self, program: str) -> bool:
        """Say whether a program can be started."""
        return shutil.which(program, path=self.path) is not None

    @cached_property
    def engine(self) -> str | None:
        """The program that runs images; None: there is none, or it cannot."""
        return next((each for each in self._engines if fault(each) is None), None)

    @property
    def no_engine(self) -> str:
        """Why there is none, for people."""
        faults = [f"{Path(each).name}: {fault(each)}" for each in self._engines]
        return f"none answers ({'; '.join(faults)})" if faults else "none is here"

    @property
    def _engines(self) -> list[str]:
        found = (shutil.which(name, path=self.path) for name in ENGINES)
        return [each for each in found if each is not None]


def fault(engine: str) -> str | None:
    """Say why an engine cannot run images; None: it can. A client alone runs nothing."""
    try:
        done = subprocess.run(
            [engine, "info"], check=False, capture_output=True, text=True, timeout=ANSWER_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"it says nothing in {ANSWER_SECONDS:g} s"
    except OSError as error:
        return error.strerror or str(error)
    if done.returncode == 0:
        return None
    said = done.stderr.strip().splitlines()
    return said[-1].strip() if said else f"its exit code is {done.returncode}"
