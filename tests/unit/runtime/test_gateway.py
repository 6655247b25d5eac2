"""Several backends as one: lists, routes, sessions, changes."""

import asyncio
import json
from typing import Any

import pytest
from mcp_types import METHOD_NOT_FOUND

from breakwater_runtime.backends.gateway import clashes
from breakwater_runtime.calls import Call, Principal, Problem, Refused, RpcError
from tests.unit.runtime.containers import ENVELOPE, MODERN, OLDER, Notes, call
from tests.unit.runtime.fakes import until
from tests.unit.runtime.gateways import Server, crm, gateway, named, wiki

BOTH = ["list_servers", "get_server_tools", "execute_tool"]


async def asked(of: Any, method: str, version: str = MODERN, **params: Any) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(await of.answer(call(method, params, version=version)))
    return result


async def called(of: Any, name: str, **arguments: Any) -> dict[str, Any]:
    result = await asked(of, "tools/call", name=name, arguments=arguments)
    said: dict[str, Any] = json.loads(result["content"][0]["text"])
    return said


def names(result: dict[str, Any], kind: str = "tools", key: str = "name") -> list[str]:
    return [item[key] for item in result[kind]]


# Lists


@pytest.mark.requirement("G1")
async def test_tools_of_all_backends_are_listed_under_the_backends_names() -> None:
    listed = await asked(gateway(crm(), wiki(), catalogue="Merged"), "tools/list")

    assert names(listed) == ["crm_get", "crm_set", "wiki_get", "wiki_search"]


@pytest.mark.requirement("G1")
async def test_tools_can_be_left_out_of_the_list_and_found_by_the_three() -> None:
    of = gateway(crm(), wiki(), catalogue="OnDemand")

    assert names(await asked(of, "tools/list")) == BOTH
    assert (await called(of, "crm_get"))["by"] == "crm"


async def test_every_page_of_a_backends_list_is_fetched() -> None:
    listed = await asked(gateway(crm(page=1), wiki(page=1)), "tools/list")

    assert names(listed) == [*BOTH, "crm_get", "crm_set", "wiki_get", "wiki_search"]
    assert "nextCursor" not in listed


async def test_prompts_resources_and_templates_are_merged() -> None:
    of = gateway(crm(), wiki())

    assert names(await asked(of, "prompts/list"), "prompts") == ["crm_greet", "wiki_greet"]
    resources = names(await asked(of, "resources/list"), "resources", "uri")
    assert resources == ["crm://one", "wiki://home"]
    templates = await asked(of, "resources/templates/list")
    assert names(templates, "resourceTemplates", "uriTemplate") == ["crm://{id}/notes"]


async def test_lists_say_to_todays_clients_how_long_they_hold() -> None:
    modern = await asked(gateway(crm(), wiki(), catalogue="Merged"), "tools/list")
    older = await asked(gateway(crm(), wiki(), catalogue="Merged"), "tools/list", OLDER)

    assert (modern["ttlMs"], modern["cacheScope"], modern["resultType"]) == (
        1000,
        "public",
        "complete",
    )
    assert older.keys() == {"tools"}


@pytest.mark.requirement("G6")
@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"fault": "it is away"}, id="known-to-be-away"),
        pytest.param({"failure": RpcError(-32603, "no")}, id="fails"),
        pytest.param({"failure": Refused(Problem.OVERLOADED)}, id="refuses"),
    ],
)
async def test_a_bad_backend_takes_no_other_out_of_a_list(broken: dict[str, Any]) -> None:
    listed = await asked(gateway(crm(**broken), wiki(), catalogue="Merged"), "tools/list")

    assert names(listed) == ["wiki_get", "wiki_search"]
    assert listed["ttlMs"] == 0


async def test_no_list_is_made_where_no_backend_has_one() -> None:
    with pytest.raises(RpcError) as failure:
        await asked(gateway(crm(fault="away"), wiki(fault="away")), "tools/list")

    assert failure.value.data["code"] == "SERVER_UNAVAILABLE"
    assert failure.value.data["retryable"]


# Routes


@pytest.mark.requirement("G1")
async def test_a_call_reaches_the_tool_under_the_backends_own_name() -> None:
    of = gateway(crm(), wiki())

    assert await called(of, "wiki_get", id=1) == {
        "by": "wiki",
        "tool": "get",
        "arguments": {"id": 1},
    }
    assert (await called(of, "crm_get"))["by"] == "crm"


async def test_who_watches_a_call_sees_the_name_that_was_asked_for() -> None:
    asking = call("tools/call", {"name": "wiki_get"}, version=MODERN)

    await gateway(crm(), wiki()).answer(asking)

    assert asking.params is not None
    assert (asking.params["name"], asking.backend) == ("wiki_get", "wiki")


@pytest.mark.requirement("G3")
async def test_a_tool_of_a_backend_that_never_answered_is_unavailable_not_unknown() -> None:
    silent = crm(never_answered=True, failure=RpcError(-32603, "away"))
    of = gateway(silent, wiki())

    with pytest.raises(RpcError, match="away"):
        await called(of, "crm_unheard_of")
    with pytest.raises(RpcError, match="no tool other"):
        await called(of, "other")


async def test_without_prefixes_the_first_backend_has_the_name() -> None:
    of = gateway(crm(), wiki(), prefixed=False, catalogue="Merged")

    assert names(await asked(of, "tools/list")) == ["get", "set", "search"]
    assert (await called(of, "get"))["by"] == "crm"
    assert (await called(of, "search"))["by"] == "wiki"


def test_names_that_clash_are_told_of_the_backend_whose_tools_are_hidden() -> None:
    found = clashes([crm(), wiki(), Server("own", has={"tools": named("list_servers")})], BOTH)

    assert found.keys() == {"wiki", "own"}
    assert found["wiki"][0].reason.value == "BackendToolsClash"
    assert "get (backend crm)" in found["wiki"][0].message
    assert "the gateway itself" in found["own"][0].message


async def test_prompts_are_found_by_their_prefix() -> None:
    got = await asked(gateway(crm(), wiki()), "prompts/get", name="wiki_greet")

    assert got == {"by": "wiki", "params": {"name": "greet"}}


async def test_a_prompt_that_nobody_has_is_an_error() -> None:
    for name in ("wiki_other", "greet", ""):
        with pytest.raises(RpcError):
            await asked(gateway(crm(), wiki()), "prompts/get", name=name)


@pytest.mark.parametrize("listed_before", [True, False])
async def test_a_resource_is_read_from_whoever_has_it(listed_before: bool) -> None:
    first, second = crm(), wiki()
    of = gateway(first, second)
    if listed_before:
        await asked(of, "resources/list")
        first.bodies.clear()

    read = await asked(of, "resources/read", uri="wiki://home")

    assert read["by"] == "wiki"
    assert [each.method for each in first.bodies] == ([] if listed_before else ["resources/read"])


async def test_a_resource_of_nobody_is_not_found() -> None:
    of = gateway(crm(), wiki())

    for version, code in ((MODERN, -32602), (OLDER, -32002)):
        with pytest.raises(RpcError) as failure:
            await asked(of, "resources/read", version, uri="other://x")
        assert failure.value.code == code


async def test_a_resource_that_may_belong_to_a_backend_that_is_away_is_unavailable() -> None:
    away = RpcError(-32603, "away", {"code": "SERVER_UNAVAILABLE"})

    with pytest.raises(RpcError) as failure:
        await asked(gateway(crm(failure=away), wiki()), "resources/read", uri="crm://x")

    assert failure.value.data["code"] == "SERVER_UNAVAILABLE"


async def test_completions_go_to_whoever_has_what_they_complete() -> None:
    of = gateway(crm(), wiki())
    await asked(of, "resources/templates/list")

    for ref, by in (
        ({"type": "ref/prompt", "name": "wiki_greet"}, "wiki"),
        ({"type": "ref/resource", "uri": "crm://{id}/notes"}, "crm"),
    ):
        done = await asked(of, "completion/complete", ref=ref, argument={"name": "x", "value": ""})
        assert done["by"] == by


async def test_a_method_that_nobody_knows_is_not_found() -> None:
    with pytest.raises(RpcError) as failure:
        await asked(gateway(crm(), wiki()), "tasks/get")

    assert failure.value.code == METHOD_NOT_FOUND


# What the server says of itself


@pytest.mark.parametrize(
    ("method", "version"), [("server/discover", MODERN), ("initialize", OLDER)]
)
async def test_the_server_can_what_any_backend_can(method: str, version: str) -> None:
    said = await asked(gateway(crm(), wiki()), method, version, protocolVersion="2025-06-18")

    assert said["capabilities"] == {
        "tools": {"listChanged": True},
        "prompts": {"listChanged": True},
        "resources": {"subscribe": True, "listChanged": True},
        "completions": {},
    }
    assert said["instructions"] == "# crm\n\nBe kind."
    if version == OLDER:
        assert said["protocolVersion"] == "2025-06-18"
        assert said["serverInfo"]["name"] == "both"


async def test_what_a_backend_said_is_remembered_while_it_is_away() -> None:
    first = crm()
    of = gateway(first, wiki())
    await asked(of, "server/discover")

    first.fault, first.failure = "away", RpcError(-32603, "away")

    assert "prompts" in (await asked(of, "server/discover"))["capabilities"]


# Sessions


def in_session(peer: Any, method: str, params: dict[str, Any] | None = None) -> Call:
    made = call(method, params)
    made.peer = peer
    return made


async def test_a_backend_learns_of_a_session_once_it_is_asked_something() -> None:
    first, second = crm(), wiki()
    of = gateway(first, second)
    notes = Notes()
    peer = of.connect("s-1", notes)
    hello = {"protocolVersion": OLDER, "capabilities": {"roots": {}}, "clientInfo": {}}

    await of.answer(in_session(peer, "initialize", hello))
    await of.answer(in_session(peer, "tools/call", {"name": "wiki_get"}))

    assert first.peers == []
    assert [(each.method, each.peer) for each in second.bodies[-3:]] == [
        ("initialize", second.peers[0]),
        ("notifications/initialized", second.peers[0]),
        ("tools/call", peer),  # as the caller's call is again afterwards
    ]
    assert second.bodies[-3].params == hello
    await peer.close()
    assert second.peers[0].closed.is_set()


async def test_two_first_calls_introduce_the_client_once() -> None:
    first = crm()
    of = gateway(first, wiki())
    peer = of.connect("s-1", Notes())

    await asyncio.gather(
        *(of.answer(in_session(peer, "tools/call", {"name": "crm_get"})) for _ in range(5))
    )

    assert len(first.peers) == 1


async def test_a_backend_that_comes_back_is_introduced_then() -> None:
    first = crm(failure=RpcError(-32603, "away"))
    of = gateway(first, wiki())
    peer = of.connect("s-1", Notes())
    with pytest.raises(RpcError):
        await of.answer(in_session(peer, "tools/call", {"name": "crm_get"}))
    assert first.peers[0].closed.is_set()

    first.failure = None
    await of.answer(in_session(peer, "tools/call", {"name": "crm_get"}))

    assert not first.peers[1].closed.is_set()


async def test_log_levels_reach_backends_that_are_introduced_later_too() -> None:
    first, second = crm(), wiki()
    of = gateway(first, second)
    peer = of.connect("s-1", Notes())
    await of.answer(in_session(peer, "tools/call", {"name": "crm_get"}))

    await of.answer(in_session(peer, "logging/setLevel", {"level": "debug"}))
    await of.answer(in_session(peer, "tools/call", {"name": "wiki_get"}))

    for server in (first, second):
        assert "logging/setLevel" in [each.method for each in server.bodies]


# Changes


def listening(**wanted: Any) -> Call:
    return call("subscriptions/listen", {"notifications": wanted}, version=MODERN)


async def test_changes_of_all_backends_are_heard_on_one_stream() -> None:
    first, second = crm(listening=True), wiki(listening=True)
    of = gateway(first, second)
    heard: list[str] = []

    subscription = of.listen(
        listening(toolsListChanged=True), lambda method, _: heard.append(method)
    )
    first.ears[0]("notifications/tools/list_changed", {})
    second.ears[0]("notifications/subscriptions/acknowledged", {})
    second.ears[0]("notifications/tools/list_changed", {})

    assert heard == [
        "notifications/subscriptions/acknowledged",
        "notifications/tools/list_changed",
        "notifications/tools/list_changed",
    ]
    assert subscription is not None
    subscription.close()
    assert first.ears == second.ears == []


async def never(ended: asyncio.Event) -> bytes:
    """Answer nothing, and tell when nobody waits for that any more."""
    try:
        await asyncio.sleep(3600)
    finally:
        ended.set()
    return b""


async def test_a_backend_that_listens_by_a_call_is_called_and_let_go() -> None:
    ended = asyncio.Event()

    async def listen(asked: Call) -> bytes:
        await asked.channel.notify("notifications/tools/list_changed", {"x": 1})
        return await never(ended)

    first = crm()
    first.work = listen
    heard: list[str] = []
    subscription = gateway(first, wiki()).listen(
        listening(toolsListChanged=True), lambda method, _: heard.append(method)
    )
    await until(lambda: "notifications/tools/list_changed" in heard)

    assert subscription is not None
    subscription.close()
    async with asyncio.timeout(5):
        await ended.wait()


async def test_who_listens_hears_that_a_backend_came_back() -> None:
    first = crm(listening=True, fault="away")
    of = gateway(first, wiki(listening=True))
    heard: list[str] = []
    notes = Notes()
    peer = of.connect("s-1", notes)
    subscription = of.listen(
        listening(toolsListChanged=True), lambda method, _: heard.append(method)
    )
    await asyncio.sleep(0)  # the watch begins

    first.fault = None

    await until(lambda: "notifications/tools/list_changed" in heard)
    await until(lambda: ("notifications/tools/list_changed", None) in notes.heard)
    assert subscription is not None
    subscription.close()
    await peer.close()


@pytest.mark.requirement("G1", "G6")
@pytest.mark.parametrize("version", [OLDER, MODERN])
async def test_a_list_says_whom_it_lacks_and_who_listens_hears_when_they_come(
    monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr("breakwater_runtime.backends.gateway.lists.LIST_SECONDS", 0.05)
    first, second, started = crm(), wiki(), asyncio.Event()
    whole = first.say

    async def slow(asked: Call) -> bytes:
        await started.wait()
        return json.dumps(whole(asked)).encode()

    first.work = slow
    of = gateway(first, second, catalogue="Merged")
    notes, heard = Notes(), list[str]()
    peer = of.connect("s-1", notes)
    subscription = of.listen(
        listening(toolsListChanged=True), lambda method, _: heard.append(method)
    )
    assert subscription is not None

    listed = [await asked(of, "tools/list", version) for _ in range(3)]
    assert {str(each["_meta"]["breakwater.dev/missingBackends"]) for each in listed} == {"['crm']"}
    assert {tuple(names(each)) for each in listed} == {("wiki_get", "wiki_search")}
    assert "notifications/tools/list_changed" not in heard

    started.set()
    await until(lambda: "notifications/tools/list_changed" in heard)
    await until(lambda: ("notifications/tools/list_changed", None) in notes.heard)

    assert heard.count("notifications/tools/list_changed") == 1
    complete = await asked(of, "tools/list", version)
    assert names(complete) == ["crm_get", "crm_set", "wiki_get", "wiki_search"]
    assert "breakwater.dev/missingBackends" not in complete.get("_meta", {})
    subscription.close()
    await peer.close()


async def test_nobody_is_waited_for_any_more_when_the_gateway_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("breakwater_runtime.backends.gateway.lists.LIST_SECONDS", 0.01)
    ended = asyncio.Event()

    first = crm()
    first.work = lambda _: never(ended)
    of = gateway(first, wiki())
    async with of.running():
        await asked(of, "tools/list")
        assert not ended.is_set()

    async with asyncio.timeout(60):
        await ended.wait()


def test_a_listener_that_says_not_what_it_wants_is_refused_by_the_answer() -> None:
    made = Call("subscriptions/listen", {"_meta": ENVELOPE}, 1, MODERN, Principal("a"), {}, Notes())

    assert gateway(crm(), wiki()).listen(made, lambda *_: None) is None


# As a whole


async def test_the_whole_can_answer_while_one_backend_can() -> None:
    first, second = crm(fault="away"), wiki()
    of = gateway(first, second)

    faults = [of.fault]
    second.fault = "away too"
    faults.append(of.fault)

    assert faults == [None, "crm: away; wiki: away too"]
    assert of.pools.keys() == {"crm/threads", "wiki/threads"}
    assert set(of.tools) == {*BOTH, "crm_get", "crm_set", "wiki_get", "wiki_search"}
    async with of.running():
        of.end_streams()
    assert (first.streams_ended, second.streams_ended) == (1, 1)
