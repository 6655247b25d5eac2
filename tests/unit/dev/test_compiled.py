"""What is compiled: modules that know each other, on a machine with a compiler."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from dev import compiled
from dev.compiled import MODULES, PACKAGE, SOURCES
from dev.prerequisites import MissingProgramsError, Program, require

RUNTIME = SOURCES[1]


def classes(module: str) -> Iterator[ast.ClassDef]:
    tree = ast.parse((RUNTIME / f"{module}.py").read_text())
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def test_what_is_compiled_exists_and_is_named_once() -> None:
    assert [module for module in MODULES if not (RUNTIME / f"{module}.py").is_file()] == []
    assert sorted(set(MODULES)) == sorted(MODULES)


def test_no_class_that_is_not_compiled_inherits_from_one_that_is() -> None:
    # It would fail when the first object of it is made.
    names = {each.name for module in MODULES for each in classes(module)}
    others = [
        str(path.relative_to(RUNTIME).with_suffix(""))
        for path in sorted(RUNTIME.rglob("*.py"))
        if str(path.relative_to(RUNTIME).with_suffix("")) not in MODULES
    ]

    heirs = [
        f"{PACKAGE}/{module}.py: {each.name}({ast.unparse(base)})"
        for module in others
        for each in classes(module)
        for base in each.bases
        if ast.unparse(base).partition("[")[0].rpartition(".")[2] in names
    ]

    assert heirs == []


def test_no_module_with_an_asynchronous_generator_is_compiled() -> None:
    def is_generator(node: ast.AST) -> bool:
        return isinstance(node, ast.AsyncFunctionDef) and any(
            isinstance(part, ast.Yield) for part in ast.walk(node)
        )

    found = [
        module
        for module in MODULES
        if any(map(is_generator, ast.walk(ast.parse((RUNTIME / f"{module}.py").read_text()))))
    ]

    assert found == []


def test_no_name_stands_for_exceptions_of_two_kinds_in_a_function() -> None:
    # What is compiled takes both for the first kind, and fails where it is the second.
    found = []
    for module in MODULES:
        for function in ast.walk(ast.parse((RUNTIME / f"{module}.py").read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                kinds: dict[str | None, set[str]] = {}
                for part in ast.walk(function):
                    if isinstance(part, ast.ExceptHandler) and part.name:
                        kinds.setdefault(part.name, set()).add(ast.unparse(part.type or part))
                twice = {name for name, several in kinds.items() if len(several) > 1}
                found += [f"{module}: {function.name}: {name}" for name in twice]

    assert found == []


def test_nothing_that_is_compiled_waits_on_its_way_out() -> None:
    # It would raise what another task had on its mind meanwhile: of that, the fuzzer found one.
    found = [
        f"{module}:{part.lineno}"
        for module in MODULES
        for block in ast.walk(ast.parse((RUNTIME / f"{module}.py").read_text()))
        if isinstance(block, ast.Try)
        for statement in block.finalbody
        for part in ast.walk(statement)
        if isinstance(part, ast.Await | ast.AsyncWith | ast.AsyncFor)
    ]

    assert found == []


def test_the_name_of_what_comes_out_follows_what_goes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "module.py"
    monkeypatch.setattr(compiled, "ROOT", tmp_path)
    monkeypatch.setattr(compiled, "__file__", str(tmp_path / "compiled.py"))
    (tmp_path / "compiled.py").touch()
    monkeypatch.setattr(compiled, "SOURCES", (tmp_path,))

    def name(content: str) -> str:
        source.write_text(content)
        return compiled.digest()

    assert name("a = 1") == name("a = 1") != name("a = 2")


def test_the_headers_that_it_needs_are_asked_for_where_they_are_missing(tmp_path: Path) -> None:
    header = tmp_path / "Python.h"
    needed = Program(str(header), "python3-dev")
    asked: list[Sequence[str]] = []

    with pytest.raises(MissingProgramsError, match="python3-dev"):
        require([needed], install=asked.append)
    header.touch()
    require([needed], install=asked.append)

    assert asked == [["python3-dev"]]
