"""The base of every model that crosses a border: strict, immutable, camelCase outside."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


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
        use_attribute_docstrings=True,
        validate_default=True,
    )

    def __deepcopy__(self, memo: Any = None) -> Self:
        """Be one's own copy: nothing of it can change.

        Pydantic copies a default for each model that it makes, field by field.
        """
        del memo
        return self
