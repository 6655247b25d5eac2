"""Words of the API that each come with a line in the reference."""

from enum import StrEnum
from typing import Self


class Explained(StrEnum):
    """Texts, each with its `meaning`, which is its line in the reference."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Self:
        """Make a member from its name in the API and its line in the reference."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member
