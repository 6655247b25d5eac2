"""What a tool takes, compiled: which arguments do not fit, and where."""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, exceptions, validators
from referencing import Registry
from referencing.exceptions import Unresolvable

from breakwater_runtime.backends.encoding import dumps

FAULTS_MAX = 10
VALUE_CHARACTERS_MAX = 200

LEFT_TO_THE_TOOL = ("pattern", "format", "patternProperties", "uniqueItems")
"""Keywords that are not looked at here. Python's regular expressions can take for ever over text
that a caller chose for them; whoever wrote the pattern checks it too. So can the comparison of each
item with each other."""

Fault = dict[str, str]


class Schema:
    """One tool's input schema."""

    def __init__(self, source: Mapping[str, Any] | None) -> None:
        """Compile a schema; None: whatever is sent fits."""
        self._validator: Any = None
        if source is not None:
            kind = validators.validator_for(source, default=Draft202012Validator)
            ours: Any = validators.extend(  # type: ignore[no-untyped-call]  # its stubs lack it
                kind, dict.fromkeys(LEFT_TO_THE_TOOL, _passes)
            )
            # With a registry of its own nothing is fetched, whatever a $ref says.
            self._validator = ours(source, registry=Registry())

    def faults(self, arguments: Any) -> list[Fault]:
        """Say what does not fit: each with its path as JSON Pointer, never with what was sent."""
        if self._validator is None:
            return []
        faults: list[Fault] = []
        try:
            for error in self._validator.iter_errors(arguments):
                faults += _said(error)
                if len(faults) >= FAULTS_MAX:
                    break
        except (Unresolvable, RecursionError):
            return []  # the schema cannot be followed: the tool decides
        return sorted(faults[:FAULTS_MAX], key=lambda fault: (fault["path"], fault["message"]))


def compiled(source: Mapping[str, Any]) -> Schema:
    """Compile a schema; one that is none fits everything, and the tool decides."""
    kind = validators.validator_for(source, default=Draft202012Validator)
    if b'"patternProperties"' in dumps(source):
        return Schema(None)  # what it does not name cannot be told without its patterns
    try:
        kind.check_schema(dict(source))
    except (exceptions.SchemaError, RecursionError):
        return Schema(None)
    return Schema(source)


def _passes(*_: object) -> Iterator[Any]:
    return iter(())


def _said(error: Any) -> Iterator[Fault]:
    path = [str(step) for step in error.absolute_path]
    keyword, value = error.validator, error.validator_value
    if keyword == "required":
        missing = (name for name in value if name not in error.instance)
        yield from (_fault([*path, name], "is required") for name in missing)
    elif keyword == "additionalProperties" and value is False:
        known = error.schema.get("properties", {})
        extra = sorted(name for name in error.instance if name not in known)
        accepted = ", ".join(known) or "nothing"
        yield from (_fault([*path, name], f"is not known; accepted: {accepted}") for name in extra)
    elif keyword == "type":
        kinds = value if isinstance(value, str) else " or ".join(value)
        yield _fault(path, f"is not of type {kinds}")
    elif keyword in {"enum", "const"}:
        yield _fault(path, f"is not one of {_short(value)}")
    else:
        yield _fault(path, f"does not meet {keyword} {_short(value)}")


def _fault(path: list[str], message: str) -> Fault:
    pointer = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)
    return {"path": pointer[:VALUE_CHARACTERS_MAX], "message": message[:VALUE_CHARACTERS_MAX]}


def _short(value: Any) -> str:
    return dumps(value).decode()[:VALUE_CHARACTERS_MAX]
