"""The base of every model that crosses a border: strict, immutable, camelCase outside."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from breakwater_contract.words import words


class Model(BaseModel):
    """A value that users or the other half write and read.

    Unknown fields are refused: a misspelt option must not be silently without effect. A field's
    docstring is its documentation everywhere.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        validate_default=True,
    )

    def __deepcopy__(self, memo: Any = None) -> Self:
        """Be one's own copy: nothing of it can change.

        Pydantic copies a default for each model that it makes, field by field.
        """
        del memo
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe each field by its docstring, where its own type says nothing else."""
        found = handler(schema)
        properties = handler.resolve_ref_schema(found).get("properties", {})
        said = words(cls)
        for name, field in cls.model_fields.items():
            described = properties.get(field.alias or name)
            if described is not None and name in said:
                described.setdefault("description", said[name])
        return found
