"""A gateway of backends that only exist in the test."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from breakwater_contract.gateway import Gateway as Settings
from breakwater_runtime.backends.backend import PoolUse
from breakwater_runtime.backends.gateway import Gateway, Member
from breakwater_runtime.calls import Call, RpcError
from breakwater_runtime.tools.shaped import Shaped
from tests.unit.runtime.fakes import FakeBackend

LISTS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}


@dataclass
class Server(FakeBackend):
    """A backend with lists, whose every answer names it."""

    has: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    instructions: str = ""
    page: int = 100

    def __post_init__(self) -> None:
        self.work = self._work
        self.tools = {str(tool["name"]) for tool in self.has.get("tools", ())}
        self.schemas = {
            str(tool["name"]): tool["inputSchema"]
            for tool in self.has.get("tools", ())
            if "inputSchema" in tool
        }
        self.pools = {"threads": PoolUse(0, 1, 2, 0)}

    async def _work(self, call: Call) -> bytes:
        return json.dumps(self.say(call)).encode()

    def say(self, call: Call) -> dict[str, Any]:
        params = call.params or {}
        if call.method in LISTS:
            return self._listed(LISTS[call.method], int(params.get("cursor", 0)))
        if call.method in {"server/discover", "initialize"}:
            said = {"capabilities": dict(self.capabilities), "instructions": self.instructions}
            return {**said, "protocolVersion": "2025-11-25"}
        if call.method == "resources/read" and self._lacks(str(params["uri"])):
            raise RpcError(-32602, "Resource not found")
        if call.method == "prompts/get" and not self._names("prompts", params["name"]):
            raise RpcError(-32602, "Unknown prompt")
        if call.method == "tools/call":
            told = {"by": self.name, "tool": params["name"], "arguments": params.get("arguments")}
            return {"content": [{"type": "text", "text": json.dumps(told)}]}
        return {"by": self.name, "params": {k: v for k, v in params.items() if k != "_meta"}}

    def _listed(self, kind: str, start: int) -> dict[str, Any]:
        items = [dict(item) for item in self.has.get(kind, ())]
        listed: dict[str, Any] = {kind: items[start : start + self.page]}
        if start + self.page < len(items):
            listed["nextCursor"] = str(start + self.page)
        return {**listed, "ttlMs": 1000, "cacheScope": "public"}

    def _lacks(self, uri: str) -> bool:
        return not any(item["uri"] == uri for item in self.has.get("resources", ()))

    def _names(self, kind: str, name: str) -> bool:
        return any(item["name"] == name for item in self.has.get(kind, ()))


def named(*names: str) -> list[dict[str, Any]]:
    """Make tools or prompts of names."""
    return [{"name": name, "inputSchema": {"type": "object"}} for name in names]


def crm(**more: Any) -> Server:
    """Make a server with one of everything."""
    has = {
        "tools": named("get", "set"),
        "prompts": named("greet"),
        "resources": [{"uri": "crm://one", "name": "one"}],
        "resourceTemplates": [{"uriTemplate": "crm://{id}/notes", "name": "notes"}],
    }
    capabilities = {"tools": {}, "prompts": {}, "resources": {"subscribe": True}}
    return Server("crm", has=has, capabilities=capabilities, instructions="Be kind.", **more)


def wiki(**more: Any) -> Server:
    """Make another one, with a tool of the same name."""
    has = {
        "tools": named("get", "search"),
        "prompts": named("greet"),
        "resources": [{"uri": "wiki://home", "name": "home"}],
    }
    return Server("wiki", has=has, capabilities={"tools": {}, "completions": {}}, **more)


def _prefix(shaped: Shaped) -> str:
    return shaped.shaping.prefix


def gateway(*servers: Server, prefixed: bool = True, **settings: Any) -> Gateway:
    """Serve them as one."""
    members = []
    for server in servers:
        shaped = Shaped(server, lambda: None, f"{server.name}_" if prefixed else "")
        members.append(Member(shaped, partial(_prefix, shaped)))
    return Gateway(members, Settings(**settings), {"name": "both", "version": "1"})
