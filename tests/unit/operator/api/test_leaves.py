"""Every leaf of the spec has an effect that somebody has decided."""

from collections.abc import Iterator
from typing import Any

import pytest

from breakwater_operator.api.crd import crd
from breakwater_operator.api.leaves import EFFECTS, Effect, effect, select

SPEC = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


def leaves(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    inner = schema.get("items", schema)
    if "properties" not in inner:
        yield path
    for name, field in inner.get("properties", {}).items():
        yield from leaves(field, f"{path}.{name}" if path else name)


@pytest.mark.parametrize("path", list(leaves(SPEC)))
def test_a_leaf_has_an_effect(path: str) -> None:
    assert effect(path) in Effect


def test_no_effect_is_decided_for_what_does_not_exist() -> None:
    known = list(leaves(SPEC))

    for path in EFFECTS:
        assert any(f"{leaf}.".startswith(f"{path}.") for leaf in known), path


def test_selecting_keeps_the_leaves_of_one_effect() -> None:
    spec = {"backends": [{"name": "a"}], "replicas": 3, "access": {"keys": {"secretName": "s"}}}

    assert select(spec, Effect.REVISION) == {"backends": [{"name": "a"}]}
    assert select(spec, Effect.CHILDREN) == {"replicas": 3}


def test_an_empty_object_says_something() -> None:
    spec = {"pod": {"volumes": [{"name": "a", "emptyDir": {}}]}}

    assert select(spec, Effect.REVISION) == spec
