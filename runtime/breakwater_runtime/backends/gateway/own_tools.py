"""Calls of the gateway's own tools."""

import asyncio
from collections.abc import Mapping
from typing import Any

from breakwater_runtime.backends.gateway import meta
from breakwater_runtime.backends.gateway.errors import failed
from breakwater_runtime.backends.gateway.lists import Lists
from breakwater_runtime.backends.gateway.members import Members
from breakwater_runtime.backends.nowhere import Nowhere
from breakwater_runtime.calls import Call, Problem

WHICH_TOOLS = f"{meta.GET_SERVER_TOOLS} names the tools of a server."


class OwnTools:
    """Answers them; a tool that they execute is called as by its own name."""

    def __init__(self, members: Members, lists: Lists) -> None:
        """Tell of `members`."""
        self._members = members
        self._lists = lists

    async def list_servers(self, call: Call) -> bytes:
        """Say which backends there are.

        Raises:
            WrongArgumentsError: The arguments do not fit.
            RpcError: They name another agent than the caller.
        """
        meta.arguments(call)
        parts = await self._lists.parts(_listing(call))
        servers = [
            {
                "name": backend.name,
                "status": "unavailable" if part is None else "ready",
                "tools": 0 if part is None else len(part.items),
            }
            for backend, part in zip(self._members.backends, parts, strict=True)
        ]
        return meta.result(call, {"servers": servers})

    async def get_server_tools(self, call: Call) -> bytes:
        """Say which tools one of them has.

        Raises:
            WrongArgumentsError: The arguments do not fit.
            RpcError: There is no such backend, or it cannot say it, or the agent is another.
        """
        given = meta.arguments(call)
        number = self._members.named(given["server"])
        part = await self._lists.part(number, _listing(call))
        if part is None:
            raise self._members.away(number)
        names = given.get("names")
        tools = [tool for tool in part.items if names is None or tool.get("name") in names]
        return meta.result(call, {"server": given["server"], "tools": tools})

    async def execute_tool(self, call: Call) -> bytes:
        """Call a tool; whoever watches over calls sees the call of that tool.

        Raises:
            WrongArgumentsError: The arguments do not fit.
            RpcError: There is no result.
            Refused: A policy or a limit stands against it.
        """
        given = meta.arguments(call)
        number = self._members.named(given["server"])
        name = self._tool(number, given["tool"])
        arguments = given.get("arguments") or {}
        call.params = {**(call.params or {}), "name": name, "arguments": arguments}
        return await self._timed(number, call, given)

    async def _timed(self, number: int, call: Call, given: Mapping[str, Any]) -> bytes:
        milliseconds = given.get("timeout_ms")
        try:
            async with asyncio.timeout(None if milliseconds is None else milliseconds / 1000):
                return await self._members.answer(number, call)
        except TimeoutError as error:
            said = f"It took longer than {milliseconds} ms."
            facts = {"backend": given["server"], "tool": given["tool"][:128]}
            raise failed(Problem.TIMEOUT, said, **facts) from error

    def _tool(self, number: int, tool: str) -> str:
        """Get a tool's name as lists have it; the prefix may be left out."""
        backend = self._members.backends[number]
        for name in (tool, self._members.prefix(number) + tool):
            if backend.has_tool(name) or backend.may_have_tool(name):
                return name
        said = f"Server {backend.name} has no tool {tool[:128]}."
        raise failed(
            Problem.TOOL_NOT_FOUND, said, hint=WHICH_TOOLS, server=backend.name, tool=tool[:128]
        )


def _listing(call: Call) -> Call:
    """Make a list of tools of a call, for its caller and in its era."""
    given = (call.params or {}).get("_meta")
    params = {"_meta": given} if given is not None else None
    lists = call.again()
    lists.method, lists.params, lists.channel = "tools/list", params, Nowhere()
    lists.examine, lists.span = None, None
    return lists
