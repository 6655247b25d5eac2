"""Print every requirement with the tests that prove it, and name those without one.

The rows stand in docs/reference/requirements.md; a test carries the ids of the rows it proves:
`@pytest.mark.requirement("T4")`. Nothing is imported or run: marks are read from the source.
"""

import argparse
import ast
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = Path("docs/reference/requirements.md")
ROW = re.compile(r"^\| (?P<id>[A-Z][0-9]+) \| (?P<what>.+) \|$")
MARK = "pytest.mark.requirement"

Scope = ast.Module | ast.ClassDef
Test = ast.FunctionDef | ast.AsyncFunctionDef


class MarkError(Exception):
    """A table or a mark cannot be read."""


@dataclass(frozen=True)
class Mark:
    """One requirement that one test says it proves."""

    requirement: str
    test: str
    """As pytest writes it: `tests/unit/test_keys.py::test_a_wrong_key_is_refused`."""


def rows(text: str) -> dict[str, str]:
    """Read what must be done, by id, in the order of the table.

    Raises:
        MarkError: An id stands there twice.
    """
    found: dict[str, str] = {}
    for match in filter(None, map(ROW.match, text.splitlines())):
        if match["id"] in found:
            raise MarkError(f"{TABLE}: {match['id']} stands there twice; give one a new id")
        found[match["id"]] = match["what"]
    return found


def marks(source: str, path: str) -> list[Mark]:
    """Read the marks of one test file: on tests, classes, parameters and the whole module."""
    module = ast.parse(source, path)
    return list(_of_scope(module, path, _ids(_module_marks(module), path)))


def _of_scope(scope: Scope, prefix: str, inherited: list[str]) -> Iterator[Mark]:
    for node in scope.body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            ids = inherited + _ids(node.decorator_list, prefix)
            yield from _of_scope(node, f"{prefix}::{node.name}", ids)
        elif isinstance(node, Test) and node.name.startswith("test_"):
            ids = inherited + _ids(node.decorator_list, prefix)
            yield from (Mark(each, f"{prefix}::{node.name}") for each in dict.fromkeys(ids))


def _module_marks(module: ast.Module) -> list[ast.expr]:
    return [
        node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        and any(isinstance(name, ast.Name) and name.id == "pytestmark" for name in node.targets)
    ]


def _ids(expressions: Sequence[ast.expr], where: str) -> list[str]:
    # Parameters carry marks inside the decorator (pytest.param(..., marks=...)), hence the walk.
    calls = [
        node
        for expression in expressions
        for node in ast.walk(expression)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == MARK
    ]
    return [_literal(argument, where) for call in calls for argument in call.args]


def _literal(argument: ast.expr, where: str) -> str:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return argument.value
    raise MarkError(
        f"{where}:{argument.lineno}: {MARK}({ast.unparse(argument)}): write the id as a string, "
        f'as in {MARK}("T4")'
    )


def collect(tests: Path) -> list[Mark]:
    """Read the marks of every test file below a folder, in the order of their paths."""
    return [
        mark
        for path in sorted(tests.rglob("test_*.py"))
        for mark in marks(path.read_text("utf-8"), path.relative_to(tests.parent).as_posix())
    ]


def unknown(known: Mapping[str, str], found: Sequence[Mark]) -> list[str]:
    """Say which marks name no row."""
    return [
        f"{mark.test}: {mark.requirement} is not an id of {TABLE}; correct it or add the row"
        for mark in found
        if mark.requirement not in known
    ]


def report(known: Mapping[str, str], found: Sequence[Mark]) -> str:
    """Write every row with its tests, then the ids of the rows that have none."""
    tests = {each: [mark.test for mark in found if mark.requirement == each] for each in known}
    lines = []
    for requirement, what in known.items():
        lines.append(f"{requirement:<4} {textwrap.shorten(what, 110, placeholder=' ...')}")
        lines.extend(f"       {test}" for test in tests[requirement])
    bare = [requirement for requirement in known if not tests[requirement]]
    lines += ["", f"{len(known)} requirements, {len(known) - len(bare)} with a test."]
    if bare:
        lines.append(textwrap.fill(f"Without one: {', '.join(bare)}", 100))
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Print the report; with `--check` only refuse marks that name no row.

    Returns:
        The exit code: 0, or 1 where a mark or the table is wrong.
    """
    parser = argparse.ArgumentParser(prog="python -m dev.requirements", description=__doc__)
    parser.add_argument("--check", action="store_true", help="print only marks that are wrong")
    options = parser.parse_args(argv)
    try:
        known = rows((root / TABLE).read_text("utf-8"))
        found = collect(root / "tests")
    except MarkError as error:
        print(error, file=sys.stderr)
        return 1
    faults = unknown(known, found)
    if not options.check:
        print(report(known, found))
    print(*faults, sep="\n", end="\n" if faults else "", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
