"""What a server in another container says of itself: its era, what it can, and its tools."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from breakwater_runtime.backends.codec import param_headers
from breakwater_runtime.backends.codec.greeting import envelope
from breakwater_runtime.backends.codec.instance import About, Instance
from breakwater_runtime.calls import Call

LISTS_MAX = 50
"""How many pages a list of tools may have."""

Tools = Mapping[str, Mapping[str, Any]]
"""Tools by their names."""


class Description:
    """What is known of it."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.about: About | None = None
        """What it said when it was greeted; None: nothing yet."""
        self._tools: Tools = {}
        self._declaring: frozenset[str] = frozenset()

    @property
    def era(self) -> bool | None:
        """Whether it has no handshake, as since 2026-07-28; None: not known yet."""
        return self.about.modern if self.about is not None else None

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """What it said that it can."""
        return self.about.capabilities if self.about is not None else {}

    @property
    def tools(self) -> Tools:
        """The tools that there are, as far as is known: the same object while they are the same."""
        return self._tools

    @property
    def names(self) -> Collection[str]:
        """What they are called."""
        return self._tools.keys()

    async def learn(self, instance: Instance) -> bool:
        """Ask an instance; say whether it has tools.

        Raises:
            RpcError: It does not say which.
        """
        self.about = instance.about
        if "tools" not in instance.about.capabilities:
            return False
        tools = await _listed(instance)
        if tools != self._tools:
            self._tools = tools
            self._declaring = frozenset(
                name for name, tool in tools.items() if param_headers.declared(tool)
            )
        return True

    def may_have(self, tool: str) -> bool:
        """Say whether there could be a tool of this name."""
        return tool in self._tools or self.about is None

    def input_schema(self, tool: str) -> Mapping[str, Any] | None:
        """Get the schema of a tool's arguments; None: not known."""
        schema = self._tools.get(tool, {}).get("inputSchema")
        return schema if isinstance(schema, dict) else None

    def declares_headers(self, tool: str) -> bool:
        """Say whether a tool has arguments that clients repeat as `Mcp-Param-*`."""
        return tool in self._declaring

    def mismatch(self, call: Call, headers: Sequence[tuple[str, str]]) -> str | None:
        """Say which `Mcp-Param-*` header does not agree with the tool's arguments; None: all do."""
        params = call.params or {}
        arguments = params.get("arguments")
        tool = self._tools.get(str(params.get("name")))
        if tool is None or not isinstance(arguments, dict | None):
            return None
        return param_headers.mismatch(tool, arguments or {}, headers)


async def _listed(instance: Instance) -> Tools:
    tools: dict[str, Mapping[str, Any]] = {}
    cursor: str | None = None
    for _ in range(LISTS_MAX):
        params: dict[str, Any] = {"cursor": cursor} if cursor is not None else {}
        if instance.about.modern:
            params["_meta"] = envelope({})
        page = (await instance.request("tools/list", params or None)).content
        listed = page.get("tools")
        for tool in listed if isinstance(listed, list) else ():
            if isinstance(tool, dict) and isinstance(tool.get("name"), str):
                tools[tool["name"]] = tool
        cursor = page.get("nextCursor")
        if not isinstance(cursor, str):
            break
    return tools
