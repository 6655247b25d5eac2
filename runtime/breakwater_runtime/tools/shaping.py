"""What of a backend's tools is shown, and how: the settings, compiled."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from breakwater_contract.gateway import ToolOverride, Tools
from breakwater_runtime.tools.globs import Glob

Tool = dict[str, Any]


class Shaping:
    """Says which tool of the backend a caller means, and how its own tools look to callers."""

    def __init__(self, settings: Tools | None, prefix: str) -> None:
        """Compile settings; `prefix` is the one where they name none."""
        said = settings or Tools()
        self.settings = settings
        self.prefix = prefix if said.prefix is None else said.prefix
        self._allow = [Glob(pattern) for pattern in said.allow]
        self._deny = [Glob(pattern) for pattern in said.deny]
        self._overrides = {each.name: each for each in said.overrides}
        self._originals = {each.rename: each.name for each in said.overrides if each.rename}
        self._expected = said.expected
        self._schemas: dict[str, tuple[Any, Any]] = {}
        self.changes_nothing = not (self.prefix or self._allow or self._deny or self._overrides)

    def original(self, shown: str) -> str | None:
        """Get what the backend calls a tool; None: no tool is shown under this name."""
        if not shown.startswith(self.prefix):
            return None
        name = shown[len(self.prefix) :]
        if name in self._originals:
            name = self._originals[name]
        elif (override := self._overrides.get(name)) is not None and override.rename:
            return None
        return name if self._shows(name) else None

    def shown(self, name: str) -> str | None:
        """Get what callers call a tool of the backend; None: it is not shown to them."""
        if not self._shows(name):
            return None
        override = self._overrides.get(name)
        if override is not None and override.rename:
            return self.prefix + override.rename
        # The name now belongs to another tool.
        return None if name in self._originals else self.prefix + name

    def _shows(self, name: str) -> bool:
        if any(glob.matches(name) for glob in self._deny):
            return False
        return not self._allow or any(glob.matches(name) for glob in self._allow)

    def fixed(self, name: str) -> Mapping[str, Any]:
        """Get the arguments of a tool that callers neither see nor change."""
        override = self._overrides.get(name)
        return override.arguments if override is not None else {}

    def look(self, tool: Tool) -> Tool | None:
        """Make what callers see of a tool; None: nothing."""
        name = tool.get("name")
        shown = self.shown(name) if isinstance(name, str) else None
        if shown is None or not isinstance(name, str):
            return None
        looks = {**tool, "name": shown}
        override = self._overrides.get(name)
        if override is not None:
            _override(looks, override)
            if override.arguments:
                looks["inputSchema"] = self.schema(name, tool.get("inputSchema"))
        return looks

    def schema(self, name: str, schema: Any) -> Any:
        """Leave out of a tool's schema what callers do not see; one object while it stays."""
        fixed = self.fixed(name)
        if not fixed or not isinstance(schema, Mapping):
            return schema
        source, made = self._schemas.get(name, (None, None))
        if source is not schema:
            made = _without(schema, fixed)
            self._schemas[name] = (schema, made)
        return made

    def missing(self, names: Collection[str]) -> Iterator[str]:
        """Yield what the settings name and the backend does not have."""
        for name in dict.fromkeys((*self._expected, *self._overrides)):
            if name not in names:
                yield name


def _override(looks: Tool, override: ToolOverride) -> None:
    if override.title is not None:
        looks["title"] = override.title
    if override.description is not None:
        looks["description"] = override.description
    if override.annotations is not None:
        said = override.annotations.model_dump(by_alias=True, exclude_none=True)
        given = looks.get("annotations")
        looks["annotations"] = {**(given if isinstance(given, dict) else {}), **said}


def _without(schema: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    made = dict(schema)
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        made["properties"] = {name: each for name, each in properties.items() if name not in names}
    required = schema.get("required")
    if isinstance(required, list):
        made["required"] = [name for name in required if name not in names]
    return made
