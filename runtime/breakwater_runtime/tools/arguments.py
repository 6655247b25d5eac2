"""Arguments held to the tool's schema before the tool sees them, with the path of each fault."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.backends.encoding import dumps
from breakwater_runtime.calls import Call, Problem, Refused

if TYPE_CHECKING:
    from breakwater_runtime.tools.schema import Fault, Schema

NAME_CHARACTERS_MAX = 128

SMALL_BYTES = 1024
"""Arguments of up to so many take a few milliseconds at worst. Larger ones are looked at in a
thread, one after the other, while everybody else is answered."""

_THREAD = ThreadPoolExecutor(1, thread_name_prefix="arguments")


class Arguments:
    """Refuses calls of tools that do not exist, and arguments that do not fit.

    Clients of MCP are told by the tool's own result; those of plain HTTP by the status.
    """

    def __init__(self) -> None:
        self._schemas: dict[tuple[str, str], tuple[Mapping[str, Any], Schema]] = {}

    async def require(self, backend: Backend, call: Call) -> None:
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
        if faults := await _faults(
            self._schema(backend.name, name, source), params.get("arguments") or {}
        ):
            first = faults[0]
            where = first["path"] or "the whole"
            message = f"Of the arguments, {where} {first['message']}."
            raise Refused(Problem.INVALID_ARGUMENTS, message, details={"faults": faults})

    def _schema(self, backend: str, tool: str, source: Mapping[str, Any]) -> "Schema":
        known, schema = self._schemas.get((backend, tool), (None, None))
        if schema is None or known is not source:
            from breakwater_runtime.tools.schema import compiled  # slow, and only plain doors ask

            schema = compiled(source)
            self._schemas[backend, tool] = (source, schema)
        return schema


async def _faults(schema: "Schema", arguments: dict[str, Any]) -> "list[Fault]":
    if len(dumps(arguments)) <= SMALL_BYTES:
        return schema.faults(arguments)
    return await asyncio.get_running_loop().run_in_executor(_THREAD, schema.faults, arguments)
