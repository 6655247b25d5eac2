"""No dead field: a change of any leaf changes what its effect says, or is refused."""

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from breakwater_operator.api.crd import crd
from breakwater_operator.api.errors import SpecError
from breakwater_operator.api.leaves import Effect, effect
from dev import golden

ROOT = Path(__file__).parents[4]
CASE = next(case for case in golden.cases(ROOT) if case.path.endswith("everything"))
SPEC = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]

Path_ = tuple[str | int, ...]

OTHER: dict[str, Any] = {
    "cpu": "1800m",
    "memory": "1536Mi",
    "ephemeral-storage": "800M",
    "sizeLimit": "1Gi",
    "image": "registry.example/other:1",
    "medium": None,
}
"""Another value where appending a letter gives none; None: without it."""


def leaves(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The places of all leaves of a manifest."""
    if isinstance(value, dict | list):
        steps = value.items() if isinstance(value, dict) else enumerate(value)
        for step, inner in steps:
            yield from leaves(inner, (*path, step))
    else:
        yield path


def named(path: Path_) -> str:
    return ".".join(step for step in path if isinstance(step, str))


def described(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """The paths of all leaves of a schema."""
    inner = schema.get("items", schema)
    if "properties" not in inner:
        yield path
    for name, field in inner.get("properties", {}).items():
        yield from described(field, f"{path}.{name}" if path else name)


def changed(path: Path_) -> golden.Case:
    server = copy.deepcopy(CASE.documents[0])
    holder = server["spec"]
    for step in path[:-1]:
        holder = holder[step]
    name, old = path[-1], holder[path[-1]]
    match old:
        case bool():
            new: Any = not old
        case _ if name in OTHER:
            new = OTHER[str(name)]
        case int():
            new = old + 1
        case _:
            new = f"{old}x"
    if new is None:
        del holder[name]
    else:
        holder[name] = new
    return replace(CASE, documents=(server, *CASE.documents[1:]))


def parts(case: golden.Case) -> dict[Effect, str]:
    """What is rendered, by what makes it change."""
    children = {(child["kind"], child["metadata"]["name"]): child for child in case.children()}
    (revision,) = (child for (kind, _), child in children.items() if kind == "ControllerRevision")
    live = [child for (_, name), child in children.items() if name.endswith("-live")]
    template = revision["data"]["template"]
    return {
        Effect.REVISION: json.dumps([revision["metadata"]["name"], template]),
        Effect.LIVE: json.dumps(live),
        Effect.CHILDREN: json.dumps(children[("Deployment", "crm-a")]["spec"]["replicas"]),
    }


def test_the_golden_server_has_every_leaf() -> None:
    assert set(described(SPEC)) == {named(path) for path in leaves(CASE.documents[0]["spec"])}


@pytest.mark.parametrize(
    "path", [pytest.param(p, id=str(p)) for p in leaves(CASE.documents[0]["spec"])]
)
def test_a_changed_leaf_changes_what_its_effect_says_and_nothing_else(path: Path_) -> None:
    before = parts(CASE)

    try:
        after = parts(changed(path))
    except SpecError:
        # A name that something else refers to: refused, unless both change.
        assert path[-1] == "name"
        return

    turned = {kind for kind in Effect if before[kind] != after[kind]}
    if path == ("replicas",):
        turned.add(Effect.CHILDREN)  # the golden server is suspended
    assert turned == {effect(named(path))}
