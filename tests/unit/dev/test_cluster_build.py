import dataclasses
import shutil
from pathlib import Path

import pytest

from dev.cluster import build
from dev.cluster.build import MODULES, content_hash

PROGRAMS = [value for value in vars(build).values() if isinstance(value, build.Program)]


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    shutil.copytree(MODULES / "pause", tmp_path / "pause")
    return tmp_path


def _hash(modules: Path, program: build.Program = build.PAUSE, go: str = "go1.26.8") -> str:
    return content_hash(program, modules=modules, go_version=go, machine="x86_64")


def test_the_same_content_has_the_same_hash_wherever_it_lies(modules: Path) -> None:
    assert _hash(modules) == _hash(MODULES)


@pytest.mark.parametrize("file", ["main.go", "go.mod", "new.go"])
def test_any_change_of_a_source_changes_the_hash(modules: Path, file: str) -> None:
    before = _hash(modules)

    with (modules / "pause" / file).open("a") as source:
        source.write("// changed\n")

    assert _hash(modules) != before


def test_flags_and_compiler_are_part_of_the_hash(modules: Path) -> None:
    other_flags = dataclasses.replace(build.PAUSE, ldflags="")

    assert len({_hash(modules), _hash(modules, other_flags), _hash(modules, go="go1.27.0")}) == 3


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_every_program_is_pinned(program: build.Program) -> None:
    module = MODULES / program.module

    assert (module / "go.mod").is_file()
    assert "require" not in (module / "go.mod").read_text() or (module / "go.sum").is_file()


@pytest.mark.parametrize(
    ("module", "version"),
    [
        ("k8s.io/kubernetes", build.KUBERNETES),
        ("github.com/containerd/containerd/v2", build.CONTAINERD),
    ],
)
def test_the_versions_told_are_the_versions_built(module: str, version: str) -> None:
    pinned = [line for path in MODULES.glob("*/go.mod") for line in path.read_text().split("\n")]

    assert any(line.split()[:2] == [module, f"v{version}"] for line in pinned)
