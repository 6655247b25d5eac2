"""Several rounds as three numbers."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Spread:
    """What rounds of the same measurement say together."""

    median: float
    minimum: float
    maximum: float


def spread(values: Iterable[float]) -> Spread:
    """Summarise rounds.

    Raises:
        ValueError: There are none.
    """
    found = list(values)
    if not found:
        raise ValueError("no rounds to summarise")
    return Spread(median(found), min(found), max(found))
