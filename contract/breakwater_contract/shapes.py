"""Texts that must look a certain way, said once for Python and for the CRD."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from breakwater_contract.rules import Schema, like, rule, rules


def matches(pattern: str, text: str) -> bool:
    """Say whether a whole text has the shape that a pattern gives.

    Python's `$` also matches before a last line break, where the API server's does not.
    """
    return re.fullmatch(pattern, text) is not None


@dataclass(frozen=True)
class Shape:
    """How a text must look, how long it may be, and what to write where it is otherwise.

    The CRD says it in CEL: a `pattern` would be answered with the expression alone.
    """

    pattern: str
    length_max: int
    message: str

    def __get_pydantic_core_schema__(self, _source: Any, _next: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(max_length=self.length_max)
        return core_schema.no_info_after_validator_function(self._check, text)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, convert: GetJsonSchemaHandler
    ) -> Schema:
        said = rule(f"self.{like(self.pattern)}", self.message)
        return convert(schema) | rules(said)

    def _check(self, text: str) -> str:
        if not matches(self.pattern, text):
            raise ValueError(self.message)
        return text
