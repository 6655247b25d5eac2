"""What settings make of a backend's tools: hidden, renamed, described, bound."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from breakwater_contract.gateway import Tools
from breakwater_contract.settings import LiveSettings, RuntimeSettings
from breakwater_runtime.calls import RpcError
from breakwater_runtime.tools.shaped import Shaped
from breakwater_runtime.tools.shaping import Shaping
from tests.unit.runtime.containers import MODERN, call
from tests.unit.runtime.gateways import Server

SCHEMA = {
    "type": "object",
    "properties": {"id": {"type": "integer"}, "tenant": {"type": "string"}},
    "required": ["id", "tenant"],
}
HAS = [
    {"name": "get", "description": "Gets.", "inputSchema": SCHEMA, "annotations": {"title": "G"}},
    {"name": "get_all", "inputSchema": {"type": "object"}},
    {"name": "delete", "inputSchema": {"type": "object"}},
]


def server() -> Server:
    return Server("crm", has={"tools": HAS, "prompts": [{"name": "greet"}]})


def shaped(backend: Server | None = None, prefix: str = "", **said: Any) -> Shaped:
    settings = Tools.model_validate(said)
    return Shaped(backend or server(), lambda: settings, prefix)


async def listed(of: Shaped) -> dict[str, dict[str, Any]]:
    result = json.loads(await of.answer(call("tools/list", version=MODERN)))
    return {tool["name"]: tool for tool in result["tools"]}


async def used(of: Shaped, name: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
    params = {"name": name, **({} if arguments is None else {"arguments": arguments})}
    result = json.loads(await of.answer(call("tools/call", params, version=MODERN)))
    said: dict[str, Any] = json.loads(result["content"][0]["text"])
    return said


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        pytest.param({}, ["get", "get_all", "delete"], id="nothing-said"),
        pytest.param({"allow": ["get*"]}, ["get", "get_all"], id="allowed"),
        pytest.param({"deny": ["*_all"]}, ["get", "delete"], id="denied"),
        pytest.param({"allow": ["get*"], "deny": ["get"]}, ["get_all"], id="denial-wins"),
        pytest.param({"prefix": "c_", "allow": ["get"]}, ["c_get"], id="prefix"),
        pytest.param(
            {"overrides": [{"name": "get", "rename": "fetch"}]},
            ["fetch", "get_all", "delete"],
            id="renamed",
        ),
        pytest.param(
            {"overrides": [{"name": "get", "rename": "delete"}]},
            ["delete", "get_all"],
            id="renamed-over-another",
        ),
        pytest.param(
            {
                "overrides": [
                    {"name": "get", "rename": "delete"},
                    {"name": "delete", "rename": "get"},
                ]
            },
            ["delete", "get_all", "get"],
            id="swapped",
        ),
    ],
)
async def test_lists_calls_and_questions_agree_on_what_is_shown(
    said: dict[str, Any], shown: list[str]
) -> None:
    of = shaped(**said)

    assert list(await listed(of)) == shown
    assert sorted(of.tools) == sorted(shown)
    for name in ("get", "get_all", "delete", "fetch", "c_get", "nothing"):
        assert of.has_tool(name) == of.may_have_tool(name) == (name in shown)
        assert (of.input_schema(name) is not None) == (name in shown)
        if name in shown:
            assert of.declares_headers(name)
            await used(of, name)
        elif said and name in {"get", "get_all", "delete"}:
            with pytest.raises(RpcError) as failure:
                await used(of, name)
            assert failure.value.data["code"] == "TOOL_NOT_FOUND"


async def test_a_swapped_name_means_the_other_tool() -> None:
    swap = [{"name": "get", "rename": "delete"}, {"name": "delete", "rename": "get"}]

    assert (await used(shaped(overrides=swap), "get"))["tool"] == "delete"


async def test_descriptions_and_hints_are_what_the_settings_say() -> None:
    override = {
        "name": "get",
        "title": "Get it",
        "description": "Gets one.",
        "annotations": {"readOnlyHint": True},
    }

    tools = await listed(shaped(overrides=[override]))

    assert tools["get"]["title"] == "Get it"
    assert tools["get"]["description"] == "Gets one."
    assert tools["get"]["annotations"] == {"title": "G", "readOnlyHint": True}
    assert "title" not in tools["get_all"]


async def test_a_fixed_argument_is_neither_seen_nor_chosen() -> None:
    of = shaped(overrides=[{"name": "get", "arguments": {"tenant": "eu"}}])
    wanted = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}

    assert (await listed(of))["get"]["inputSchema"] == wanted
    assert of.input_schema("get") == wanted
    assert of.input_schema("get") is of.input_schema("get")
    assert (await used(of, "get", {"id": 1}))["arguments"] == {"id": 1, "tenant": "eu"}
    assert (await used(of, "get"))["arguments"] == {"tenant": "eu"}


async def test_settings_of_another_moment_are_in_force_at_once() -> None:
    said = [Tools(), Tools(deny=("get",))]
    of = Shaped(server(), lambda: said[0])
    assert "get" in await listed(of)

    said.pop(0)

    assert "get" not in await listed(of)
    assert not of.has_tool("get")


async def test_a_list_is_shaped_once_while_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    of, looks = shaped(deny=["delete"]), Shaping.look
    looked: list[str] = []

    def look(self: Shaping, tool: dict[str, Any]) -> dict[str, Any] | None:
        looked.append(tool["name"])
        return looks(self, tool)

    monkeypatch.setattr(Shaping, "look", look)

    await listed(of)
    await listed(of)

    assert len(looked) == len(HAS)


def test_missing_tools_are_a_finding_once_the_backend_has_answered() -> None:
    backend = server()
    of = shaped(backend, expected=["get", "gone"], overrides=[{"name": "away", "title": "x"}])

    (finding,) = of.findings
    assert finding.reason.value == "BackendToolsMissing"
    assert finding.message.startswith("it has no tool gone, away; it has delete, get, get_all")
    backend.fault = "it has not answered yet"
    assert of.findings == ()


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        pytest.param({"prefix": "a b"}, "letters", id="prefix"),
        pytest.param({"expected": ["a b"]}, "letters", id="name"),
        pytest.param({"overrides": [{"name": "a"}, {"name": "a"}]}, "two overrides", id="twice"),
        pytest.param(
            {"overrides": [{"name": "a", "rename": "x"}, {"name": "b", "rename": "x"}]},
            "x: two overrides rename a tool",
            id="one-name-for-two",
        ),
    ],
)
def test_settings_that_mean_nothing_are_refused(said: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        Tools.model_validate(said)


def test_settings_of_a_backend_that_there_is_not_are_refused_in_one_file() -> None:
    settings = {
        "backends": [{"name": "crm", "python": {"server": "a:b"}}],
        "live": {"tools": [{"backend": "cmr"}]},
    }

    with pytest.raises(ValidationError, match="about the backend cmr; accepted: crm"):
        RuntimeSettings.model_validate(settings)
    with pytest.raises(ValidationError, match="two entries for the backend a"):
        LiveSettings.model_validate({"tools": [{"backend": "a"}, {"backend": "a"}]})
