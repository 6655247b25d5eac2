"""Puts what `dev.compiled` made into the wheel, where the environment says so."""

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VARIABLE = "BREAKWATER_COMPILED"
"""The folder of what was compiled; without it a wheel is plain Python."""


class CompiledHook(BuildHookInterface[Any]):
    """Adds compiled modules beside their sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Say what else is in the wheel, and that it fits one Python on one kind of machine."""
        folder = os.environ.get(VARIABLE)  # noqa: TID251 - hatchling hands a hook nothing else
        if not folder or version == "editable":
            return
        for path in sorted(Path(folder).rglob("*.so")):
            build_data["force_include"][str(path)] = str(path.relative_to(folder))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
