"""From a pydantic model to the structural schema that a CRD demands."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from breakwater_contract.rules import rule

Schema = dict[str, Any]

KEPT = (
    "type",
    "format",
    "pattern",
    "enum",
    "default",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
)
"""What a structural schema takes over as it is; `title` and the like mean nothing to it."""


class UnstructuralError(TypeError):
    """A model that no structural schema can describe."""


def structural(model: type[BaseModel]) -> Schema:
    """Describe a model as a CRD does: no references, no unions, everything bounded.

    Raises:
        UnstructuralError: It has a union, a list without a bound, or a field without a word.
    """
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _convert(schema, schema.get("$defs", {}), model.__name__)


def _convert(schema: Mapping[str, Any], known: Mapping[str, Any], where: str) -> Schema:
    merged = _merged(schema, known, where)
    if "description" not in merged:
        raise UnstructuralError(f"{where} has no docstring")
    found: Schema = {"description": _unwrapped(merged["description"])}
    found |= {key: merged[key] for key in KEPT if key in merged}
    if "properties" in merged:
        found["properties"] = {
            name: _convert(value, known, f"{where}.{name}")
            for name, value in merged["properties"].items()
        }
    if "items" in merged:
        found["items"] = _items(merged, known, where)
    if isinstance(merged.get("additionalProperties"), Mapping):
        found |= _map(merged, known, where)
    _check_bounds(found, where)
    return found


def _merged(schema: Mapping[str, Any], known: Mapping[str, Any], where: str) -> Schema:
    """Put a reference, or the one member of an optional field, in the place of the name for it."""
    found = dict(schema)
    if "anyOf" in found:
        members = [member for member in found.pop("anyOf") if member != {"type": "null"}]
        if len(members) != 1:
            raise UnstructuralError(f"{where} is a union; give each member a field of its own")
        found = members[0] | found
    if "$ref" in found:
        name = found.pop("$ref").rpartition("/")[2]
        found = _merged(known[name], known, where) | found
    if "const" in found:
        found["enum"] = [found.pop("const")]
    # Absent is what optional means here: a default is written into every object, and then a later
    # version could not change it.
    if not found.get("default") or found.get("type") in {"object", "array"}:
        found.pop("default", None)
    return found


def _items(merged: Mapping[str, Any], known: Mapping[str, Any], where: str) -> Schema:
    item = _merged(merged["items"], known, f"{where}[]")
    if "properties" in item:
        return _convert(item, known, f"{where}[]")
    return {key: item[key] for key in KEPT if key in item}


def _map(merged: Mapping[str, Any], known: Mapping[str, Any], where: str) -> Schema:
    """Describe a map; how long its keys may be, a schema can say only in CEL."""
    value = _merged(merged["additionalProperties"], known, f"{where}{{}}")
    _check_bounds(value, f"{where}{{}}")
    key = merged.get("propertyNames") or {}
    longest = key.get("maxLength")
    if longest is None:
        raise UnstructuralError(f"{where} needs keys with max_length")
    said = rule(
        f"self.all(key, size(key) >= {key.get('minLength', 0)} && size(key) <= {longest})",
        f"write keys of {max(1, key.get('minLength', 0))} to {longest} characters",
    )
    rules_known = merged.get("x-kubernetes-validations", [])
    shapes = [_of_keys(one) for one in key.get("x-kubernetes-validations", [])]
    return {
        "additionalProperties": {name: value[name] for name in KEPT if name in value},
        "x-kubernetes-validations": [*rules_known, said, *shapes],
    }


def _of_keys(shape: Mapping[str, Any]) -> dict[str, Any]:
    """Say of all keys of a map what a rule says of one text."""
    return {**shape, "rule": f"self.all(key, {shape['rule'].replace('self.', 'key.', 1)})"}


def _check_bounds(schema: Schema, where: str) -> None:
    kind = schema.get("type")
    if "additionalProperties" in schema and "maxProperties" not in schema:
        raise UnstructuralError(f"{where} needs max_length")
    if kind == "array" and not {"maxItems", "x-kubernetes-list-type"} <= schema.keys():
        raise UnstructuralError(f"{where} needs max_length and a list type")
    if kind == "string" and not schema.keys() & {"maxLength", "enum", "format"}:
        raise UnstructuralError(f"{where} needs max_length")


def _unwrapped(text: str) -> str:
    """Join the lines of a docstring again; kubectl breaks them anew."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
