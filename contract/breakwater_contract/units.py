"""Durations and sizes as people write them in Kubernetes: `30s`, `1Mi`."""

import re
from abc import abstractmethod
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from breakwater_contract.rules import Schema, like, rule, rules

SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
SUFFIXES = {1024: ("", "Ki", "Mi", "Gi", "Ti"), 1000: ("", "k", "M", "G", "T")}
BYTES = {
    suffix: base**power
    for base, suffixes in SUFFIXES.items()
    for power, suffix in enumerate(suffixes)
}
MILLISECONDS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}

TEXT_MAX = 32


class _Unit(str):
    """A string that is validated on the way in, and kept in the one spelling of what it says.

    `60s` and `1m` are the same: who writes the other one changes nothing.
    """

    __slots__ = ()
    PATTERN: ClassVar[str]
    WANTED: ClassVar[str]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls,
            # Who writes a number, without quotes and unit, is told what to write, too.
            core_schema.custom_error_schema(
                core_schema.str_schema(max_length=TEXT_MAX), "unit", custom_error_message=cls.WANTED
            ),
            serialization=core_schema.to_string_ser_schema(),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, convert: GetJsonSchemaHandler
    ) -> Schema:
        return convert(schema) | rules(rule(f"self.{like(cls.PATTERN)}", cls.WANTED))

    def __new__(cls, text: str) -> Self:
        """Make one from text.

        Raises:
            ValueError: The text does not match the pattern.
        """
        if (kept := _kept(cls, text)) is None:
            raise ValueError(cls.WANTED)
        return super().__new__(cls, kept)

    @classmethod
    @abstractmethod
    def spelled(cls, text: str) -> str:
        """Write what a text says in its one spelling."""


class Duration(_Unit):
    """A length of time in Go's notation, as in `500ms`, `30s`, `1h30m`."""

    __slots__ = ()
    PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
    WANTED = "write a duration with its unit, as in 500ms, 30s or 1h30m"

    @property
    def seconds(self) -> float:
        """The same length of time in seconds."""
        return _seconds(str(self))

    @classmethod
    def spelled(cls, text: str) -> str:
        """Write it in hours, minutes, seconds and milliseconds; with less than one, it stays."""
        parts = re.findall(r"([0-9.]+)(ms|s|m|h)", text)
        length = sum(Fraction(number) * MILLISECONDS[unit] for number, unit in parts)
        rest, found = int(length), ""
        if rest != length:
            return text
        for unit, one in MILLISECONDS.items():
            count, rest = divmod(rest, one)
            found += f"{count}{unit}" if count else ""
        return found or "0s"


@dataclass(frozen=True)
class Between:
    """Bounds of a duration: for `Annotated[Duration, Between("1s", "30m")]`."""

    least: str
    most: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, convert: GetJsonSchemaHandler
    ) -> Schema:
        found = convert(schema)
        least, most = f"duration('{self.least}')", f"duration('{self.most}')"
        bounds = f"{least} <= duration(self) && duration(self) <= {most}"
        known = found.get("x-kubernetes-validations", [])
        return found | rules(*known, rule(bounds, self._wanted))

    @property
    def _wanted(self) -> str:
        return f"write a duration from {self.least} to {self.most}"

    def _check(self, value: Duration) -> Duration:
        if not Duration(self.least).seconds <= value.seconds <= Duration(self.most).seconds:
            raise ValueError(self._wanted)
        return value


class Quantity(_Unit):
    """A size in bytes as Kubernetes writes it, as in `512Ki`, `1Mi`, `2G`."""

    __slots__ = ()
    PATTERN = r"^[0-9]+(\.[0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?$"
    WANTED = "write a size in bytes, as in 512Ki, 1Mi or 2G"

    @property
    def bytes(self) -> int:
        """The same size in bytes, rounded down."""
        return _bytes(self)

    @classmethod
    def spelled(cls, text: str) -> str:
        """Write it as briefly as possible."""
        value = _bytes(text)
        return min((_with_suffix(value, base) for base in SUFFIXES), key=len)


@dataclass(frozen=True)
class MoreThanZero:
    """A limit that lets something through: for `Annotated[Duration, MoreThanZero()]`.

    Elsewhere 0 means that there is no limit. Here it would be one that nothing keeps.
    """

    ZERO: ClassVar[str] = "[.a-zA-Z]*0[0.a-zA-Z]*"
    WANTED: ClassVar[str] = (
        "0 would let nothing through; write more, or leave the field out for its default"
    )

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, convert: GetJsonSchemaHandler
    ) -> Schema:
        found = convert(schema)
        known = found.get("x-kubernetes-validations", [])
        return found | rules(*known, rule(f"!self.{like(f'^{self.ZERO}$')}", self.WANTED))

    def _check(self, text: Any) -> Any:
        if isinstance(text, str) and re.fullmatch(self.ZERO, text):
            raise ValueError(self.WANTED)
        return text


SomeTime = Annotated[Duration, MoreThanZero()]
SomeBytes = Annotated[Quantity, MoreThanZero()]


KNOWN_MAX = 1024
"""Texts that need not be looked at again: a manifest has two dozen, and nearly all are defaults."""


@lru_cache(KNOWN_MAX)
def _kept(unit: type[_Unit], text: str) -> str | None:
    if re.fullmatch(unit.PATTERN, text) is None:
        return None
    kept = unit.spelled(text)
    # What is longer would not be read again.
    return kept if len(kept) <= TEXT_MAX else text


@lru_cache(KNOWN_MAX)
def _seconds(text: str) -> float:
    parts = re.findall(r"([0-9.]+)(ms|s|m|h)", text)
    return float(sum(Decimal(number) * SECONDS[unit] for number, unit in parts))


@lru_cache(KNOWN_MAX)
def _bytes(text: str) -> int:
    number = text.rstrip("kKMGTi")
    return int(Fraction(number) * BYTES[text[len(number) :]])


def _with_suffix(value: int, base: int) -> str:
    step = 0
    while value and value % base == 0 and step + 1 < len(SUFFIXES[base]):
        value, step = value // base, step + 1
    return f"{value}{SUFFIXES[base][step]}"
