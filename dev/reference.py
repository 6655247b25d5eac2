"""The reference pages, from the same models that the API is made from."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from breakwater_operator.api.conditions import ConditionType
from breakwater_operator.api.crd import DESCRIPTION, crd
from breakwater_operator.api.leaves import effect
from breakwater_operator.api.platform import PlatformChoices
from breakwater_operator.api.reasons import Reason
from breakwater_operator.api.schema import structural
from dev import environment
from dev.cli_page import cli_page
from dev.environment import NOTE
from dev.metrics_page import metrics_page

API = (
    "`kubectl explain mcpservers.breakwater.dev.spec` says the same. API version: "
    "`breakwater.dev/v1alpha1`; short name `bmcp`; category `breakwater`."
)
PLATFORM = (
    "The owner of a platform decides some things for all servers: defaults, who may reach whom, "
    "and what manifests may name. These are the fields of `platform` in the chart's values, and "
    "stand beside the others in the operator's configuration file. Tenants cannot widen them; what "
    "they may not write is refused with `Accepted=False`, reason `NotAllowed`, and what runs stays "
    "as it is. A change restarts the operator and no server: defaults of pods are for new "
    "revisions."
)
CONDITIONS = (
    "Every McpServer has these six conditions, and no others, as soon as the operator has seen it. "
    "`kubectl wait --for=condition=Ready mcpservers.breakwater.dev/NAME` waits for the last one. "
    "Reasons are part of the API; messages may change."
)

Schema = Mapping[str, Any]


def pages() -> dict[str, str]:
    """Write every page, by its name."""
    return {
        "mcpserver": _mcpserver(),
        "platform": _platform(),
        "conditions": _conditions(),
        "cli": cli_page(),
        "environment": environment.page(),
        "metrics": metrics_page(),
    }


def _mcpserver() -> str:
    schema = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    rules = [rule["message"] for rule in schema["x-kubernetes-validations"]]
    sections = [
        *_refusals(rules),
        *_section("spec", schema["properties"]["spec"]),
        *_section("status", schema["properties"]["status"]),
    ]
    return "\n".join([NOTE, "# McpServer", "", DESCRIPTION, "", API, "", *sections])


def _platform() -> str:
    sections = _section("platform", structural(PlatformChoices))
    return "\n".join([NOTE, "# What the platform decides", "", PLATFORM, "", *sections])


def _section(path: str, schema: Schema) -> Iterator[str]:
    """Write an object and, after it, the objects in it."""
    yield f"## `{path}`"
    yield ""
    yield schema["description"]
    yield ""
    with_effect = path.startswith("spec")
    yield "| field | type | default | meaning |" + (" a change |" if with_effect else "")
    yield "|---|---|---|---|" + ("---|" if with_effect else "")
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        yield _row(path, name, field, is_required=name in required, with_effect=with_effect)
    yield ""
    messages = [rule["message"] for rule in schema.get("x-kubernetes-validations", ())]
    for name, field in schema["properties"].items():
        messages += [
            f"`{name}`: {rule['message']}"
            for rule in field.get("x-kubernetes-validations", ())
            if "properties" not in field
        ]
    yield from _refusals(messages)
    for name, field in schema["properties"].items():
        inner = field.get("items", field)
        if "properties" in inner:
            brackets = "[]" if "items" in field else ""
            yield from _section(f"{path}.{name}{brackets}", _described(inner, field))


def _described(inner: Schema, field: Schema) -> Schema:
    return {**inner, "description": inner.get("description", field["description"])}


def _row(path: str, name: str, field: Schema, *, is_required: bool, with_effect: bool) -> str:
    default = "required" if is_required else _code(field.get("default"))
    cells = [f"`{name}`", _type(field), default, field["description"].replace("\n\n", " ")]
    if with_effect:
        cells.append(_effect(f"{path}.{name}", field))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _effect(path: str, field: Schema) -> str:
    """Say what a change does, for leaves; of an object its own table says it."""
    if "properties" in field or "properties" in field.get("items", {}):
        return ""
    return effect(path.removeprefix("spec.").replace("[]", "")).value


def _type(field: Schema) -> str:
    if "items" in field:
        return f"list of {_type(field['items'])}s"
    if field.get("x-kubernetes-int-or-string"):
        return "quantity"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "minimum" in field and "maximum" in field:
        return f"{field['type']}, {field['minimum']} to {field['maximum']}"
    return str(field["type"])


def _code(value: Any) -> str:
    return "" if value is None else f"`{value}`"


def _refusals(messages: Iterable[str]) -> Iterator[str]:
    lines = [f"- {message}" for message in dict.fromkeys(messages)]
    if lines:
        yield "What the API server answers to values that are not accepted:"
        yield ""
        yield from [*lines, ""]


def _conditions() -> str:
    conditions = [f"| `{condition}` | {condition.meaning} |" for condition in ConditionType]
    reasons = [f"| `{reason}` | {reason.meaning} |" for reason in sorted(Reason)]
    head = [NOTE, "# Conditions and reasons", "", CONDITIONS, ""]
    tables = ["| condition | true means |", "|---|---|", *conditions, ""]
    tables += ["| reason | meaning |", "|---|---|", *reasons, ""]
    return "\n".join([*head, *tables])
