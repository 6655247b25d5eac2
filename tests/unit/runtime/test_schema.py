"""Which arguments do not fit a tool's schema, and where."""

from typing import Any

import pytest

from breakwater_runtime.tools.schema import compiled

NESTED = {"type": "object", "properties": {"a/b": {"items": {"type": "string"}}}}
KINDS = {"type": "object", "properties": {"kind": {"enum": ["x", "y"]}, "n": {"maximum": 3}}}


@pytest.mark.requirement("W6", "T5")
@pytest.mark.parametrize(
    ("schema", "arguments", "faults"),
    [
        pytest.param({}, {"a": 1}, [], id="anything"),
        pytest.param(KINDS, {"kind": "x", "n": 1}, [], id="fits"),
        pytest.param(
            NESTED, {"a/b": ["x", 1]}, [("/a~1b/1", "is not of type string")], id="nested"
        ),
        pytest.param(
            KINDS,
            {"kind": "secret", "n": 4},
            [("/kind", 'is not one of ["x","y"]'), ("/n", "does not meet maximum 3")],
            id="values-are-not-repeated",
        ),
        pytest.param({"type": "array"}, {}, [("", "is not of type array")], id="the-whole"),
        pytest.param({"$ref": "https://schemas.invalid/x"}, {"a": 1}, [], id="nothing-is-fetched"),
        pytest.param({"$ref": "#/$defs/gone"}, {"a": 1}, [], id="leads-nowhere"),
        pytest.param({"type": 7}, {"a": 1}, [], id="no-schema"),
        pytest.param(
            {"properties": {"a": {"pattern": "^(x+)+$"}}}, {"a": "x" * 64 + "!"}, [], id="pattern"
        ),
        pytest.param(
            {"properties": {"a": {"uniqueItems": True}}},
            {"a": [{"n": number} for number in range(50_000)]},
            [],
            id="unique-items",
        ),
        pytest.param(
            {"patternProperties": {"^(x+)+$": {}}, "additionalProperties": False},
            {"x" * 64 + "!": 1},
            [],
            id="pattern-of-names",
        ),
    ],
)
def test_faults_have_paths_and_not_what_was_sent(
    schema: dict[str, Any], arguments: Any, faults: list[tuple[str, str]]
) -> None:
    found = compiled(schema).faults(arguments)

    assert [(fault["path"], fault["message"]) for fault in found] == faults


def test_there_are_so_many_faults_and_no_more() -> None:
    schema = {"additionalProperties": {"type": "string"}}

    found = compiled(schema).faults({str(number): number for number in range(100)})

    assert len(found) == 10
