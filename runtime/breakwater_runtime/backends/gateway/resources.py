"""Whose a resource is: its URI says nothing of the backend, so what they list is remembered."""

import re
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

REMEMBERED = 10_000
"""How many URIs, and how many templates, are remembered."""

_VARIABLE = re.compile(r"\{[^}]*\}")


class Owners:
    """Remembers which backend listed a resource or a template."""

    def __init__(self) -> None:
        self._resources: OrderedDict[str, int] = OrderedDict()
        self._templates: OrderedDict[str, tuple[list[str], int]] = OrderedDict()

    def learn(self, backend: int, items: Iterable[dict[str, Any]]) -> None:
        """Remember what a backend lists; what another listed before stays the other's."""
        for item in items:
            uri, template = item.get("uri"), item.get("uriTemplate")
            if isinstance(uri, str):
                self._resources.setdefault(uri, backend)
            if isinstance(template, str):
                self._templates.setdefault(template, (_VARIABLE.split(template), backend))
        for known in (self._resources, self._templates):
            while len(known) > REMEMBERED:
                known.popitem(last=False)

    def of(self, uri: str) -> int | None:
        """Say whose it is; None: nobody listed it."""
        owner = self._resources.get(uri)
        if owner is not None:
            return owner
        template = self._templates.get(uri)  # completions name a template as it is written
        if template is not None:
            return template[1]
        return next((each for parts, each in self._templates.values() if _fits(parts, uri)), None)


def _fits(parts: list[str], uri: str) -> bool:
    """Say whether a URI could come of a template, given as what stands between its variables."""
    first, *rest = parts
    if not rest or not uri.startswith(first):
        return uri == first
    last = rest.pop()
    end = len(uri) - len(last)
    position = len(first)
    if position > end or not uri.endswith(last):
        return False
    for part in rest:
        position = uri.find(part, position, end)
        if position < 0:
            return False
        position += len(part)
    return True
