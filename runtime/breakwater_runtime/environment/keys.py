"""The keys that the environment gives, in its variables or in files that these name."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from breakwater_runtime.environment.names import (
    ADMIN_KEY,
    AUTH_TOKENS,
    FILE_SUFFIX,
    KEY,
    KEYS,
)
from breakwater_runtime.settings import Given, KeySource

DEFAULT_PRINCIPAL = "default"

Lines = dict[str, bytes]
"""Lines of keys by principal."""

Split = Callable[[str], Lines]


def given(said: Mapping[str, str], folder: Path, faults: list[str]) -> Given:
    """Find the keys, and try once whether they can be read.

    Args:
        said: The values of variables.
        folder: Where relative paths start.
        faults: Gets what is wrong.
    """
    sources = []
    for name, split in ((KEY, _one), (KEYS, _named), (AUTH_TOKENS, _numbered)):
        if name in said:
            sources.append(_fixed(name, split, said[name]))
        if name + FILE_SUFFIX in said:
            sources.append(_kept(name + FILE_SUFFIX, split, folder / said[name + FILE_SUFFIX]))
    for source in sources:
        try:
            source.read()
        except OSError as error:
            faults.append(f"{source.name}: {error.filename} cannot be read: {error.strerror}")
        except ValueError as error:
            faults.append(f"{source.name}: {error}")
    admin_key = said.get(ADMIN_KEY)
    return Given(tuple(sources), admin_key.encode() if admin_key is not None else None)


def _fixed(name: str, split: Split, text: str) -> KeySource:
    return KeySource(name, lambda: split(text))


def _kept(name: str, split: Split, file: Path) -> KeySource:
    return KeySource(name, lambda: split(file.read_bytes().decode(errors="replace")))


def _one(text: str) -> Lines:
    return {DEFAULT_PRINCIPAL: text.strip().encode()}


def _named(text: str) -> Lines:
    """Read `principal=key` items.

    Raises:
        ValueError: One of them is something else.
    """
    found: Lines = {}
    for number, item in enumerate(_items(text), start=1):
        principal, equals, key = item.partition("=")
        if not (principal and equals and key):
            raise ValueError(f"item {number} is not principal=key")
        found[principal] = found.get(principal, b"") + key.encode() + b"\n"
    return found


def _numbered(text: str) -> Lines:
    return {f"token-{number}": it.encode() for number, it in enumerate(_items(text), start=1)}


def _items(text: str) -> list[str]:
    return [item for item in re.split(r"[,\s]+", text) if item]
