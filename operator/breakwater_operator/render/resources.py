"""What a container is promised and may use, where several have a say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from breakwater_operator.api.resources import RESOURCES, Amounts, Resources


@dataclass(frozen=True)
class Defaults:
    """What counts where nobody says anything."""

    requests: Mapping[str, str]
    limits: Mapping[str, str]


def chosen(defaults: Defaults, *levels: Resources) -> dict[str, Any]:
    """Choose the resources of a container: the last level that names one decides about it."""
    requests, limits = dict(defaults.requests), dict(defaults.limits)
    for level in levels:
        asked, allowed = _amounts(level.requests), _amounts(level.limits)
        named = asked.keys() | allowed.keys()
        requests = _without(requests, named) | asked
        limits = _without(limits, named) | allowed
    return {
        kind: amounts for kind, amounts in (("requests", requests), ("limits", limits)) if amounts
    }


def _amounts(chosen: Amounts) -> dict[str, str]:
    found = {name: getattr(chosen, field) for name, field in RESOURCES.items()}
    return {name: value for name, value in found.items() if value is not None}


def _without(defaults: dict[str, str], named: set[str]) -> dict[str, str]:
    return {name: value for name, value in defaults.items() if name not in named}
