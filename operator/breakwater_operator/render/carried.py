"""What stays said of the tools of backends that only older pods have.

What is shown of tools is taken over by running pods at once, by the names of backends; those
change with new pods only. Until the last pod that has a backend is gone, what it must not show
stays hidden.
"""

import json
from collections.abc import Iterable
from typing import Any

from breakwater_contract.backends import Backend
from breakwater_contract.gateway import BackendTools
from breakwater_contract.names import SETTINGS_ANNOTATION
from breakwater_operator.api.models import McpServer
from breakwater_operator.render import revision
from breakwater_operator.render.manifest import Live
from breakwater_operator.render.volumes import LIVE_KEY

UNNAMED: str = Backend.model_fields["name"].default
"""The name that settings leave out."""


def backends_gone(server: McpServer, stored: Iterable[Live]) -> tuple[str, ...]:
    """Name the backends of revisions that the manifest no longer has, each once.

    Those of the oldest revision come first: where rollouts get stuck, its pods are the ones that
    serve.
    """
    found = [one for item in stored if (one := revision.read(item, server)) is not None]
    here = {backend.name for backend in server.spec.backends}
    oldest_first = sorted(found, key=lambda one: one.number)
    named = dict.fromkeys(name for one in oldest_first for name in _backends(one.template))
    return tuple(name for name in named if name not in here)


def entries(config_map: Live | None) -> dict[str, BackendTools]:
    """Read back from the ConfigMap `<name>-live` what was written of the tools of each backend."""
    try:
        written = json.loads((config_map or {})["data"][LIVE_KEY]).get("tools", ())
        found = [BackendTools.model_validate(one) for one in written]
    except (AttributeError, LookupError, TypeError, ValueError):
        return {}
    return {one.backend: one for one in found}


def _backends(template: Live) -> list[str]:
    """Name the backends that the pods of a template have."""
    annotations: dict[str, Any] = template["metadata"].get("annotations") or {}
    settings = json.loads(annotations.get(SETTINGS_ANNOTATION, "{}"))
    return [str(backend.get("name", UNNAMED)) for backend in settings.get("backends", ())]
