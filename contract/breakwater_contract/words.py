"""What the docstrings of a model's fields say, read when somebody asks.

Pydantic reads them from the sources whenever a class is made: a tenth of the time that a process
takes to start, for words that only the definition and the reference pages have a use for.
"""

import ast
import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path


def words(model: type) -> Mapping[str, str]:
    """Get the docstring of each field that has one, those of inherited fields too."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        found |= _own(each)
    return found


def _own(model: type) -> Mapping[str, str]:
    if "__annotations__" not in vars(model) or model.__module__ == "pydantic.main":
        return {}
    source = inspect.getsourcefile(model)
    return _classes(source).get(model.__qualname__, {}) if source is not None else {}


@cache
def _classes(source: str) -> Mapping[str, Mapping[str, str]]:
    """The fields with a docstring of each class of a file, by the name of the class."""
    return dict(_within(ast.parse(Path(source).read_text(encoding="utf-8")), ""))


def _within(tree: ast.AST, where: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield f"{where}{node.name}", dict(_fields(node))
            yield from _within(node, f"{where}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _within(node, f"{where}{node.name}.<locals>.")


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for statement, after in zip(node.body, node.body[1:], strict=False):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            said = after.value.value
            if isinstance(said, str):
                yield statement.target.id, inspect.cleandoc(said)
