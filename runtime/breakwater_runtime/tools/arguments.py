"""Arguments held to the tool's schema before the tool sees them, with the path of each fault."""

from collections.abc import Mapping
from typing import Any

from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.calls import Call, Problem, Refused
from breakwater_runtime.tools.schema import Schema, compiled

NAME_CHARACTERS_MAX = 128


class Arguments:
    """Refuses calls of tools that do not exist, and arguments that do not fit.

    Clients of MCP are told by the tool's own result; those of plain HTTP by the status.
    """

    def __init__(self) -> None:
        self._schemas: dict[tuple[str, str], tuple[Mapping[str, Any], Schema]] = {}

    def require(self, backend: Backend, call: Call) -> None:
        """Let a call of a tool pass that its backend will not refuse for what it says.

        Raises:
            Refused: There is no such tool, or its arguments are wrong.
        """
        params = call.params or {}
        name = str(params.get("name"))
        if not backend.has_tool(name):
            said = name[:NAME_CHARACTERS_MAX]
            raise Refused(Problem.TOOL_NOT_FOUND, f"There is no tool {said}.")
        source = backend.input_schema(name)
        if source is None:
            return
        if faults := self._schema(backend.name, name, source).faults(params.get("arguments") or {}):
            first = faults[0]
            where = first["path"] or "the whole"
            message = f"Of the arguments, {where} {first['message']}."
            raise Refused(Problem.INVALID_ARGUMENTS, message, details={"faults": faults})

    def _schema(self, backend: str, tool: str, source: Mapping[str, Any]) -> Schema:
        known, schema = self._schemas.get((backend, tool), (None, None))
        if schema is None or known is not source:
            schema = compiled(source)
            self._schemas[backend, tool] = (source, schema)
        return schema
