"""YAML and JSON as kubectl reads them."""

import codecs
import json
import math
import re
from collections.abc import Hashable, Iterator
from typing import Any, ClassVar

import yaml
from yaml.constructor import ConstructorError

TAG = "tag:yaml.org,2002:"

PLAIN = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (
        r"y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF|true|True|TRUE|false|False|FALSE",
        list("yYnNtTfFoO"),
    ),
    "int": (
        r"[-+]?(0b[01][01_]*|0o?[0-7_]+|0x[0-9a-fA-F][0-9a-fA-F_]*|0|[1-9][0-9_]*)",
        list("-+0123456789"),
    ),
    "float": (
        r"[-+]?(\.\d[\d_]*|\d[\d_]*(\.[\d_]*)?)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    "merge": (r"<<", ["<"]),
}
"""What means something without quotes, by kubectl's rules: `y` is a boolean, the commit 12345e6 a
number, and 1:30 or a date the text that was written."""

LEVELS_MAX = 64
VALUES_MAX = 1_000_000
"""Far more than the API server takes, and few enough to count."""
INTEGER_BITS_MAX = 1024


class DocumentError(Exception):
    """A file is not what kubectl could read, or not with one meaning."""

    def __init__(self, message: str, line: int | None = None) -> None:
        self.line = line
        super().__init__(message)


class _Loader(yaml.SafeLoader):
    """Reads nothing but what JSON knows, and refuses a key that occurs twice.

    YAML forbids such a key. kubectl takes the last, which is never what somebody meant.
    """

    bool_values: ClassVar[dict[str, bool]] = {**yaml.SafeLoader.bool_values, "y": True, "n": False}
    yaml_implicit_resolvers = {}  # noqa: RUF012 (as PyYAML declares it)
    yaml_constructors = {  # noqa: RUF012 (as PyYAML declares it)
        f"{TAG}{name}": yaml.SafeLoader.yaml_constructors[f"{TAG}{name}"]
        for name in ("null", "bool", "int", "str", "seq", "map")
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError) as error:
            what = f"{str(node.value)[:40]!r} is no {node.tag.removeprefix(TAG)}"
            raise ConstructorError(None, None, what, node.start_mark) from error

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Hashable, Any]:
        if isinstance(node, yaml.MappingNode):
            _refuse_twice(node)
        found = super().construct_mapping(node, deep)  # type: ignore[arg-type]  # it refuses others
        return {_key(key, node): value for key, value in found.items()}


for _name, (_shape, _first) in PLAIN.items():
    _Loader.add_implicit_resolver(
        f"{TAG}{_name}", re.compile(rf"^(?:{_shape})\Z", re.ASCII), _first
    )


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    return _number(loader.construct_yaml_float(node))


def _binary(loader: _Loader, node: yaml.ScalarNode) -> str:
    return loader.construct_yaml_binary(node).decode()


def _untagged(loader: _Loader, node: yaml.Node) -> Any:
    """Pass over a tag that means nothing to JSON, as kubectl does."""
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)  # type: ignore[arg-type]  # the third and last kind


_Loader.add_constructor(f"{TAG}float", _float)
_Loader.add_constructor(f"{TAG}binary", _binary)
_Loader.add_constructor(None, _untagged)


def load(content: bytes) -> list[tuple[int, Any]]:
    """Read every document of a file, each with the line that it begins in.

    Raises:
        DocumentError: It is neither YAML nor JSON, or more than JSON can say.
    """
    text = _text(content)
    try:
        found = list(_json(text))
    except (ValueError, RecursionError):
        found = _yaml(text)
    for line, document in found:
        _check(document, line)
    return found


def _text(content: bytes) -> str:
    """Decode a file; what is no text in it, in a comment for one, does not matter to kubectl."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    # Where files were put one after the other, a mark may begin a later line.
    return content.decode("utf-8-sig", "replace").replace("\n\ufeff", "\n")


def _json(text: str) -> Iterator[tuple[int, Any]]:
    """Read JSON, which may be indented by tabs, and one object may follow another."""
    decoder = json.JSONDecoder(
        object_pairs_hook=_once, parse_float=lambda written: _number(float(written))
    )
    position = 0
    while start := re.compile(r"\S").search(text, position):
        position = start.start()
        line = text.count("\n", 0, position) + 1
        document, position = decoder.raw_decode(text, position)
        yield line, document


def _yaml(text: str) -> list[tuple[int, Any]]:
    try:
        loader = _Loader(text)
        found = []
        while loader.check_node() and (node := loader.get_node()) is not None:
            found.append((node.start_mark.line + 1, loader.construct_document(node)))
    except yaml.YAMLError as error:
        raise _said(error, text) from error
    except RecursionError as error:
        raise DocumentError(f"is nested deeper than {LEVELS_MAX} levels") from error
    except (ValueError, OverflowError) as error:
        raise DocumentError(r"has an escape, as in \U00110000, for no character") from error
    return found


def _said(error: yaml.YAMLError, text: str) -> DocumentError:
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        what = f"the character #x{int(error.character):04x} is not allowed; save it as UTF-8 text"
        return DocumentError(f"is not YAML: {what}", line)
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = [getattr(error, "problem", None) or str(error), getattr(error, "context", None)]
    what = " ".join(filter(None, said))
    if mark is None:
        return DocumentError(f"is not YAML: {what}")
    if "{{" in text:
        what += "; where it is a template, render it first, as with helm template"
    return DocumentError(f"is not YAML: {what} (column {mark.column + 1})", mark.line + 1)


def _check(document: Any, line: int) -> None:
    """Refuse what JSON cannot say, or nobody can hold: it may be far more than was written."""
    left = [(document, 0)]
    seen = 0
    while left:
        value, level = left.pop()
        seen += 1
        if level > LEVELS_MAX:
            raise DocumentError(f"is nested deeper than {LEVELS_MAX} levels, or in itself", line)
        if seen > VALUES_MAX:
            raise DocumentError(f"has more than {VALUES_MAX} values, aliases written out", line)
        if fault := _unsayable(value):
            raise DocumentError(f"has {fault}", line)
        inner = [*value, *value.values()] if isinstance(value, dict) else value
        left += [(it, level + 1) for it in inner] if isinstance(inner, list) else []


def _unsayable(value: Any) -> str | None:
    match value:
        case float() if not math.isfinite(value):
            return f"the number {value}, which JSON cannot say; put it in quotes"
        case int() if value.bit_length() > INTEGER_BITS_MAX:
            return "a number that is too large; put it in quotes"
        case str() if not value.isascii() and re.search("[\ud800-\udfff]", value):
            return rf"half of a character ({ascii(value)[:40]}); write all of it"
    return None


def _refuse_twice(node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
            continue
        if key.value in seen:
            what = f"{key.value} is written twice in one object; remove one of them"
            raise ConstructorError(None, None, what, key.start_mark)
        seen.add(key.value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object, unless a key occurs twice: reading it as YAML says in which line."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is written twice")
    return found


def _number(value: float) -> float:
    """Take 2.0 for the integer that it is in JSON."""
    return int(value) if value.is_integer() else value


def _key(key: Hashable, node: yaml.Node) -> str:
    if key is None:
        raise ConstructorError(None, None, "a key is null; put it in quotes", node.start_mark)
    return str(key).lower() if isinstance(key, bool) else str(key)
