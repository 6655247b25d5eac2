"""Amounts of CPU, memory and disk in the one form in which the API server keeps them.

`1000m` and `1`, or `1024Mi` and `1Gi`, are the same amount. What we render is compared with what
the API server gives back, and what we hash must not change with the spelling, so amounts are
rewritten as soon as they are read.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from breakwater_contract.rules import like, rule, rules
from breakwater_contract.shapes import matches

CPU = r"^([0-9]{1,9}m|[0-9]{1,6}(\.[0-9]{1,3})?)$"
BYTES = (
    r"^([0-9]{1,15}|[0-9]{1,9}(\.[0-9]{1,3})?(k|M|G|Ki|Mi|Gi)?|[0-9]{1,6}(\.[0-9]{1,3})?(T|Ti))$"
)
"""So many digits that nothing exceeds 2^63: beyond it the API server would write another number."""

INTEGER_MAX = 10**15
CPU_INTEGER_MAX = 999_999
"""What six digits can say, and more than any node has."""

DECIMAL_SUFFIXES = {"m": -1, "": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
BINARY_SUFFIXES = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def amount(text: str) -> Decimal:
    """Read an amount as a number, as in `1500m` -> 1.5."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    suffix = text[len(digits) :]
    if suffix in BINARY_SUFFIXES:
        return Decimal(digits) * Decimal(1024) ** BINARY_SUFFIXES[suffix]
    return Decimal(digits) * Decimal(1000) ** DECIMAL_SUFFIXES[suffix]


def canonical(text: str) -> str:
    """Write an amount as the API server does: a whole number and the largest suffix that fits."""
    return _largest(int(amount(text) * 1000), 1000, list(DECIMAL_SUFFIXES))


def canonical_bytes(text: str) -> str:
    """The same for memory and disk, with the suffixes that make it shorter."""
    value, decimal = amount(text), canonical(text)
    if value != int(value):
        return decimal
    return min(_largest(int(value), 1024, ["", *BINARY_SUFFIXES]), decimal, key=len)


def _largest(value: int, base: int, suffixes: list[str]) -> str:
    step = 0
    while value and value % base == 0 and step + 1 < len(suffixes):
        value, step = value // base, step + 1
    return f"{value}{suffixes[step]}" if value else "0"


def _wanted(example: str) -> str:
    return f"this is not an amount; write one as in {example}"


def _checked(pattern: str, example: str, spelled: Callable[[str], str]) -> BeforeValidator:
    def check(value: object) -> str:
        number = isinstance(value, int) and not isinstance(value, bool)
        text = str(value)
        if (
            not (number or isinstance(value, str))
            or not matches(pattern, text)
            or (number and int(text) > INTEGER_MAX)
        ):
            raise ValueError(_wanted(example))
        return spelled(text)

    return BeforeValidator(check)


def _schema(shape: Mapping[str, Any]) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "minimum": 0,
            "maximum": INTEGER_MAX,
            "maxLength": 32,
            **shape,
        }
    )


def _said(pattern: str, example: str) -> Mapping[str, Any]:
    """Say a pattern in CEL, so that the API server answers with what to write."""
    return rules(rule(f"type(self) == int || self.{like(pattern)}", _wanted(example)))


CPU_EXAMPLE = "500m or 2"
BYTES_EXAMPLE = "512Mi"

Cpu = Annotated[
    str,
    _checked(CPU, CPU_EXAMPLE, canonical),
    _schema({"maximum": CPU_INTEGER_MAX, **_said(CPU, CPU_EXAMPLE)}),
]
"""Processors, as in `500m` or `2`."""

Bytes = Annotated[
    str, _checked(BYTES, BYTES_EXAMPLE, canonical_bytes), _schema(_said(BYTES, BYTES_EXAMPLE))
]
"""Memory or disk, as in `512Mi`."""

ListedBytes = Annotated[
    str, _checked(BYTES, BYTES_EXAMPLE, canonical_bytes), _schema({"pattern": BYTES})
]
"""The same inside lists: the API server takes a value that may be a number to be as long as a
whole request, and refuses rules about 32 of those as too costly."""
