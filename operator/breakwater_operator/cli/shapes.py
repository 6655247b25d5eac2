"""Whether the objects of manifests have the shape that we rely on."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from breakwater_contract.shapes import matches
from breakwater_operator.api.fields import DATA_KEY

TEXTS = {"Secret": ("data", "stringData"), "ConfigMap": ("data", "binaryData")}
BASE64 = {"Secret": "data", "ConfigMap": "binaryData"}
NO_BREAKS = {ord("\r"): None, ord("\n"): None}
"""Kubernetes reads base64 with line breaks, as `base64` writes it."""


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
        if not matches(DATA_KEY, key) or key == "." or key.startswith(".."):
            wanted = "write letters, digits, '_', '-' and '.', as in config.json"
            yield f"{field} has the entry {key!r}; {wanted}"
        elif not isinstance(value, str):
            yield f"{field}.{key} is not text; put it in quotes"
        elif is_base64 and not _is_base64(value):
            yield f"{field}.{key} is not base64"


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value.translate(NO_BREAKS), validate=True)
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
