"""The platform that manifests are looked at for: a file, or one made up."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from breakwater_operator.api.platform import Platform
from breakwater_operator.cli import manifests

DISTRIBUTION = "mcp-breakwater"

EVERYTHING: dict[str, Any] = {
    "gateway": "platform/gateway",
    "monitoring": {"otlp": {"endpoint": "http://collector.platform.svc:4318"}},
}
"""What a platform may have that manifests ask for; nothing here ever looks at which one it is."""


def platform_of(file: Path | None, **more: Any) -> Platform:
    """Read the operator's configuration, or make one with `more` than its defaults.

    Raises:
        SpecError: With every fault of it.
    """
    if file is not None:
        return Platform.parse(manifests.mapping(file))
    image = f"breakwater-runtime:{version(DISTRIBUTION)}"
    made = {"namespace": "breakwater-system", "images": {"runtime": image}}
    return Platform.parse(made | more)
