"""YAML as kubectl reads it, and whether its objects have the shape that we rely on."""

import base64
import binascii
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import yaml

NO_JSON = frozenset(f"tag:yaml.org,2002:{name}" for name in ("timestamp", "binary", "set"))
"""What has no counterpart in JSON. To kubectl a date is the text that was written."""

TEXTS = {"Secret": ("data", "stringData"), "ConfigMap": ("data", "binaryData")}
BASE64 = {"Secret": "data", "ConfigMap": "binaryData"}


class _Loader(yaml.SafeLoader):
    """Reads nothing but what JSON knows, and refuses a key that occurs twice, as kubectl does."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as PyYAML declares it)
        first: [(tag, shape) for tag, shape in found if tag not in NO_JSON]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors = {  # noqa: RUF012 (as PyYAML declares it)
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if tag not in NO_JSON
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen and key.value != "<<":
                line = key.start_mark.line + 1
                raise yaml.YAMLError(f"line {line}: {key.value} is written twice in one object")
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def load(content: bytes) -> list[Any]:
    """Read every document of a file.

    Raises:
        YAMLError, UnicodeDecodeError: It is no YAML, or not of the kind that JSON is.
    """
    return list(yaml.load_all(content, Loader=_Loader))


def misshapen(document: Mapping[str, Any]) -> Iterator[str]:
    """Say what the API server would refuse of the parts of an object that are looked at here.

    What a Secret holds is never said.
    """
    kind = document["kind"]
    for field in ("name", "namespace", "uid"):
        if not isinstance(document["metadata"].get(field, ""), str):
            yield f"metadata.{field} is not text; put it in quotes"
    for field in TEXTS.get(kind, ()):
        is_base64 = BASE64.get(kind) == field
        yield from _wrong_entries(document.get(field), field, is_base64=is_base64)
    if kind == "PersistentVolumeClaim":
        yield from _wrong_modes(document.get("spec"))


def _wrong_entries(entries: Any, field: str, *, is_base64: bool) -> Iterator[str]:
    if entries is None:
        return
    if not isinstance(entries, Mapping):
        yield f"{field} is not an object; write its entries below it"
        return
    for key, value in entries.items():
        if not isinstance(value, str):
            yield f"{field}.{key} is not text; put it in quotes"
        elif is_base64 and not _is_base64(value):
            yield f"{field}.{key} is not base64"


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _wrong_modes(spec: Any) -> Iterator[str]:
    if spec is None:
        return
    if not isinstance(spec, Mapping):
        yield "spec is not an object; write its fields below it"
        return
    modes = spec.get("accessModes")
    if modes is not None and not (
        isinstance(modes, list) and all(isinstance(mode, str) for mode in modes)
    ):
        yield "spec.accessModes is not a list of texts; write one as in [ReadWriteOnce]"
