"""What can be said of the chart without rendering it; tests/cluster/test_chart.py renders it."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from breakwater_operator.api.platform import PlatformChoices

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts/breakwater"
OF_PARENT_CHARTS = "global"


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CHART / name).read_text("utf-8"))
    return content


VALUES = read("values.yaml")
SCHEMA = json.loads((CHART / "values.schema.json").read_text("utf-8"))


def sections(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the schema that names its members, by its path."""
    if "properties" in schema:
        yield path, schema
    for name, member in schema.get("properties", {}).items():
        yield from sections(member, f"{path}.{name}")
    if "items" in schema:
        yield from sections(schema["items"], f"{path}[]")


SECTIONS = dict(sections(SCHEMA))
DOCUMENTED = {path: schema for path, schema in SECTIONS.items() if not path.endswith("[]")}


def value_at(path: str) -> Any:
    value = VALUES
    for name in filter(None, path.split(".")):
        value = value[name]
    return value


@pytest.mark.parametrize("path", [p for p in DOCUMENTED if not p.startswith(".operator.resources")])
def test_schema_and_values_name_the_same(path: str) -> None:
    known = set(SECTIONS[path]["properties"]) - {OF_PARENT_CHARTS}

    assert known == set(value_at(path))


@pytest.mark.parametrize("path", SECTIONS)
def test_a_name_that_no_value_has_is_refused(path: str) -> None:
    assert SECTIONS[path]["additionalProperties"] is False


@pytest.mark.parametrize("path", [p for p in DOCUMENTED if not p.startswith(".operator.resources")])
def test_the_schema_says_what_each_value_means(path: str) -> None:
    bare = [n for n, m in SECTIONS[path]["properties"].items() if not m.get("description")]

    assert bare == []


def test_the_chart_has_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    chart = read("Chart.yaml")

    assert {chart["version"], chart["appVersion"]} == {project["version"]}


def test_the_platforms_owner_may_write_what_the_operator_reads() -> None:
    (names,) = SCHEMA["properties"]["platform"]["patternProperties"]

    fields = PlatformChoices.model_fields.items()
    known = {field.alias or name for name, field in fields}
    assert set(names.removeprefix("^(").removesuffix(")$").split("|")) == known
