"""What a structural schema can describe, and the definition that is made of it."""

from typing import Annotated

import pytest
import yaml
from pydantic import Field

from breakwater_contract.model import Model
from breakwater_operator.api.crd import crd
from breakwater_operator.api.schema import UnstructuralError, structural

BYTES_MAX = 200_000
"""Client-side apply keeps the whole object in an annotation, and these end at 256 KiB."""


def test_the_definition_can_be_applied_by_every_client() -> None:
    assert len(yaml.safe_dump(crd())) < BYTES_MAX


def test_a_union_is_refused() -> None:
    class Wrong(Model):
        """A model."""

        value: int | str = 1
        """A field."""

    with pytest.raises(UnstructuralError, match=r"Wrong\.value is a union"):
        structural(Wrong)


def test_a_field_without_a_word_is_refused() -> None:
    class Wrong(Model):
        """A model."""

        value: int

    with pytest.raises(UnstructuralError, match=r"Wrong\.value has no docstring"):
        structural(Wrong)


def test_a_list_without_a_bound_is_refused() -> None:
    class Wrong(Model):
        """A model."""

        values: tuple[int, ...] = ()
        """A field."""

    with pytest.raises(UnstructuralError, match="needs max_length and a list type"):
        structural(Wrong)


def test_a_text_without_a_bound_is_refused() -> None:
    class Wrong(Model):
        """A model."""

        value: str
        """A field."""

    with pytest.raises(UnstructuralError, match="needs max_length"):
        structural(Wrong)


def test_an_optional_field_is_absent_rather_than_null() -> None:
    class Inner(Model):
        """A model."""

        value: Annotated[str, Field(max_length=3)] | None = None
        """A field
        of two lines."""

    assert structural(Inner)["properties"]["value"] == {
        "description": "A field of two lines.",
        "type": "string",
        "maxLength": 3,
    }
