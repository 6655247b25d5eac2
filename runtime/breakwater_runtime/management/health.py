"""Health: a registry of checks, and what they say together."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be well."""

    name: str
    fault: Callable[[], str | None]
    """Say what is wrong; None: nothing."""
    gates_traffic: bool = True
    """Whether a fault means that no request should come here; else the process is degraded only."""


class Health:
    """What is wrong with this process, at this moment."""

    def __init__(self) -> None:
        self._checks: list[Check] = []

    def register(self, check: Check) -> None:
        """Ask this too from now on."""
        self._checks.append(check)

    def ready(self) -> bool:
        """Say whether requests should come here."""
        return not any(check.fault() for check in self._checks if check.gates_traffic)

    def faults(self) -> dict[str, str | None]:
        """Get each check's fault; None where all is well."""
        return {check.name: check.fault() for check in self._checks}
