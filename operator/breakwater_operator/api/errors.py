"""The three families of errors: the user must change something, we wait, the cluster failed."""

from collections.abc import Iterable
from dataclasses import dataclass

from breakwater_operator.api.reasons import Reason


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in what a user wrote."""

    where: str
    """The field, as in `spec.backends[main].python.server`."""
    message: str
    """What was found, what is accepted, what to write."""
    reason: Reason = Reason.SPEC_INVALID
    """Of the condition that says so."""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class BreakwaterError(Exception):
    """Anything that the operator says to people."""


class SpecError(BreakwaterError):
    """The user must change something: a condition, no retry. Carries every fault there is."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(map(str, self.faults)))


class NotReadyError(BreakwaterError):
    """We wait for something: a condition, a later try, nothing alarming in the log."""

    def __init__(self, reason: Reason, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class ClusterError(BreakwaterError):
    """The cluster failed or refused: retried with back-off."""
