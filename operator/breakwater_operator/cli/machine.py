"""What this machine has to run the containers of backends with."""

import shutil
from dataclasses import dataclass

ENGINES = ("docker", "podman")


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

    @property
    def engine(self) -> str | None:
        """The program that runs images; None: there is none."""
        found = (shutil.which(name, path=self.path) for name in ENGINES)
        return next((each for each in found if each is not None), None)
