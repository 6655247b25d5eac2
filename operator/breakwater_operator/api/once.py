"""Remembering what follows from something that never changes."""

from collections.abc import Callable
from typing import Generic, TypeVar

Given = TypeVar("Given")
Conclusion = TypeVar("Conclusion")


class Once(Generic[Given, Conclusion]):
    """A function that is asked for the same several times in a row, and works it out once.

    The same is the same object: to compare two of equal content costs as much as the answer.
    """

    def __init__(self, conclude: Callable[[Given], Conclusion]) -> None:
        """Remember nothing yet.

        Args:
            conclude: Works it out; of an object that never changes.
        """
        self._conclude = conclude
        self._last: tuple[Given, Conclusion] | None = None

    def __call__(self, given: Given) -> Conclusion:
        """Say what follows."""
        last = self._last
        if last is not None and last[0] is given:
            return last[1]
        concluded = self._conclude(given)
        self._last = given, concluded
        return concluded
