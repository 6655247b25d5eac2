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
CASES = {case.path.rpartition("/")[2]: case for case in golden.cases(ROOT)}
COMPLETE = ("everything", "otherwise", "ingress", "public", "command", "http", "gateway")
"""Cases that together have every leaf: some fields exclude others."""

SPEC = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]

Path_ = tuple[str | int, ...]

OTHERS = (
    "1800m", "1536Mi", "1G", "registry.example/other:1", "48s", "2027-02-28", "192.0.2.0/24",
    "https://other.example", "Never", "30%",
)  # fmt: skip
"""Other values for texts of which a letter more makes nothing: the first that is accepted."""

ABSENT = object()


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


def maps(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The paths of all maps of a schema: their keys are no fields."""
    inner = schema.get("items", schema)
    if "additionalProperties" in inner:
        yield path, inner
    for name, field in inner.get("properties", {}).items():
        yield from maps(field, f"{path}.{name}" if path else name)


def described(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """The paths of all leaves of a schema."""
    inner = schema.get("items", schema)
    if "properties" not in inner:
        yield path
    for name, field in inner.get("properties", {}).items():
        yield from described(field, f"{path}.{name}" if path else name)


def candidates(old: Any, schema: dict[str, Any]) -> Iterator[Any]:
    """Other values for a leaf, the likeliest first; the last is none at all."""
    match old:
        case bool():
            yield not old
        case int():
            yield from (old + 1, old - 1)
        case _:
            yield from (value for value in schema.get("enum", ()) if value != old)
            yield from (f"{old}x", *(other for other in OTHERS if other != old), f"{old}*")
    yield ABSENT


def schema_of(path: Path_) -> dict[str, Any]:
    schema: dict[str, Any] = SPEC
    for step in path:
        if isinstance(step, int):
            schema = schema["items"]
        else:
            schema = schema.get("properties", {}).get(step) or schema["additionalProperties"]
    return schema


def changed(case: golden.Case, path: Path_, new: Any) -> golden.Case:
    server = copy.deepcopy(case.documents[0])
    holder = server["spec"]
    for step in path[:-1]:
        holder = holder[step]
    if new is ABSENT:
        del holder[path[-1]]
    else:
        holder[path[-1]] = new
    return replace(case, documents=(server, *case.documents[1:]))


def parts(case: golden.Case) -> dict[Effect, str]:
    """What is rendered, by what makes it change."""
    children = case.children()
    (revision,) = (child for child in children if child["kind"] == "ControllerRevision")
    live = [child for child in children if child["metadata"]["name"].endswith("-live")]
    others = [child for child in children if child is not revision and child not in live]
    for child in others:
        child["spec"] = {k: v for k, v in child.get("spec", {}).items() if k != "template"}
    # Which operator renders them comes before all; and when pods are upgraded that an older one
    # rendered shows only with an older one: test_upgrades.
    spec = case.documents[0]["spec"]
    operator = [spec.get("operatorClass"), spec.get("upgradePolicy")]
    return {
        Effect.REVISION: json.dumps([revision["metadata"]["name"], revision["data"]["template"]]),
        Effect.LIVE: json.dumps(live),
        Effect.CHILDREN: json.dumps([operator, others]),
    }


def test_the_golden_servers_have_every_leaf() -> None:
    found = [leaves(CASES[name].documents[0]["spec"]) for name in COMPLETE]

    in_maps = {f"{path}." for path, _ in maps(SPEC)}
    written = {named(path) for paths in found for path in paths}
    shortened = {
        next((one[:-1] for one in in_maps if path.startswith(one)), path) for path in written
    }
    assert set(described(SPEC)) == shortened


ALL = [
    pytest.param(name, path, id=f"{name}-{named(path)}")
    for name in COMPLETE
    for path in leaves(CASES[name].documents[0]["spec"])
]


@pytest.mark.parametrize(("name", "path"), ALL)
def test_a_changed_leaf_does_what_its_effect_says_and_touches_no_pod_beyond(
    name: str, path: Path_
) -> None:
    case = CASES[name]
    before = parts(case)

    turned = next(filter(None, attempts(case, path, before)), None)

    if turned is None:
        # A name that something else refers to, a policy with scopes, a network with exceptions, a
        # toleration with a value: refused, unless both change.
        assert path[-1] in {"name", "effect", "cidr", "operator"}
        return
    assert effect(named(path)) in turned
    # What is said live of a backend's tools says whose they are.
    by_name = {Effect.LIVE} if named(path) == "backends.name" else set()
    assert turned <= {effect(named(path)), Effect.CHILDREN} | by_name


def attempts(
    case: golden.Case, path: Path_, before: dict[Effect, str]
) -> Iterator[set[Effect] | None]:
    """What turns by each other value of a leaf; None where that is refused."""
    holder = case.documents[0]["spec"]
    for step in path:
        holder = holder[step]
    for new in candidates(holder, schema_of(path)):
        try:
            after = parts(changed(case, path, new))
        except SpecError:
            yield None
        else:
            yield {kind for kind in Effect if before[kind] != after[kind]}


@pytest.mark.parametrize(("written", "rendered"), [("90s", "90s"), ("1500ms", "1500ms")])
def test_no_part_of_an_interval_is_lost(written: str, rendered: str) -> None:
    case = changed(CASES["everything"], ("monitoring", "scrapeInterval"), written)

    (monitor,) = (child for child in case.children() if child["kind"] == "PodMonitor")

    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["interval"] == rendered
