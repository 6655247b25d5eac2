"""What a structural schema can describe, and the definition that is made of it."""

import re
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
import yaml
from pydantic import Field

from breakwater_contract.model import Model
from breakwater_operator.api.crd import crd
from breakwater_operator.api.quantity import BYTES
from breakwater_operator.api.schema import UnstructuralError, structural

VALIDATIONS = "x-kubernetes-validations"

Schema = dict[str, Any]

WORDS = re.compile(
    r"\b(write|choose|remove|add|name|leave|put|lower|raise|mount|correct)\b", re.IGNORECASE
)
"""What a message tells a person to do."""

UNSAID = {
    r"^[^\x00]*$": "as CEL it would exceed the budget; nobody writes a NUL by accident",
    BYTES: "inside a list of volumes, likewise",
}
"""Shapes that the API server answers with the expression alone, and why."""

BYTES_MAX = 200_000
"""Client-side apply keeps the whole object in an annotation, and these end at 256 KiB."""


def test_the_definition_can_be_applied_by_every_client() -> None:
    assert len(yaml.safe_dump(crd())) < BYTES_MAX


def parts(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every part of a schema, by its path."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from parts(field, f"{path}.{name}")
    if "items" in schema:
        yield from parts(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from parts(schema["additionalProperties"], f"{path}.*")


PARTS = list(parts(crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]))
REFUSALS = [(path, said["message"]) for path, part in PARTS for said in part.get(VALIDATIONS, ())]


def test_every_field_is_explained() -> None:
    fields = [(path, part) for path, part in PARTS if not path.endswith(("]", "*", ".metadata"))]

    assert len(fields) > 300
    assert [path for path, part in fields if not part.get("description", "").endswith(".")] == []


@pytest.mark.parametrize("message", sorted({message for _, message in REFUSALS}))
def test_a_refusal_says_what_to_write(message: str) -> None:
    assert WORDS.search(message)
    assert not message.endswith(".")


def test_no_shape_is_answered_with_an_expression_alone_but_those_with_a_reason() -> None:
    found = {part["pattern"] for _, part in PARTS if "pattern" in part}

    assert found == set(UNSAID)


def test_every_rule_has_its_words() -> None:
    rules = [said for _, part in PARTS for said in part.get(VALIDATIONS, ())]

    assert len(rules) > 150
    assert [said["rule"] for said in rules if not said.get("message")] == []


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
