from __future__ import annotations

import asyncio
import json
import os
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, TextContent, TextResourceContents

from breakwater_runtime.servers.changes import mcp
from breakwater_runtime.servers.changes.folder import Folder
from breakwater_runtime.servers.changes.listing import CHANGES_PER_PAGE
from breakwater_runtime.servers.changes.main import root_from

if TYPE_CHECKING:
    from mcp_types import CallToolResult

    from breakwater_runtime.servers.changes.server import ChangesServer

pytestmark = pytest.mark.requirement("T6")

WANTED: dict[str, Any] = {
    "changeId": "add-login",
    "title": "Log in with a key",
    "why": "People share passwords.",
    "whatChanges": "- Keys instead of passwords",
    "design": "Keys are random.",
    "tasks": ["Write the form", "Tell people"],
    "deltas": {"user-auth": "## ADDED Requirements", "web": "## REMOVED Requirements"},
}


@pytest.fixture(params=["auto", "legacy"])
def client(request: pytest.FixtureRequest, server: ChangesServer) -> Client:
    """Return a client of the newest protocol era, and one of the older, to be entered."""
    mode: Literal["auto", "legacy"] = request.param
    return Client(server, mode=mode)


def untouched(root: Path) -> bool:
    """Say whether nothing was written to a volume."""
    return not any(root.iterdir())


async def read(client: Client, uri: str) -> str:
    (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    assert (content.uri, content.mime_type) == (uri, "text/markdown")
    return content.text


def said(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def test_the_tools_say_what_they_take_and_what_they_do(client: Client) -> None:
    async with client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}

        assert set(tools) == {"change.open", "change.archive"}
        opening, archiving = tools["change.open"], tools["change.archive"]
        assert opening.input_schema["required"] == ["changeId"]
        assert set(opening.input_schema["properties"]) == set(WANTED)
        assert set(archiving.input_schema["properties"]) == {"changeId", "force"}
        for tool in tools.values():
            assert tool.input_schema["properties"]["changeId"]["pattern"].startswith("^[a-z]")
            assert tool.output_schema is not None
            assert tool.annotations is not None
            assert tool.annotations.idempotent_hint
            assert tool.annotations.open_world_hint is False
            assert tool.annotations.read_only_hint is False
        assert opening.annotations is not None
        assert archiving.annotations is not None
        assert (opening.annotations.destructive_hint, archiving.annotations.destructive_hint) == (
            False,
            True,
        )


async def test_a_change_is_opened_read_and_archived(client: Client, root: Path) -> None:
    async with client:
        opened = await client.call_tool("change.open", WANTED)

        assert not opened.is_error
        assert opened.structured_content is not None
        assert opened.structured_content["opened"] is True
        assert opened.structured_content["path"] == "changes/add-login"
        for uri in opened.structured_content["documents"]:
            assert await read(client, uri)
        assert "# Log in with a key" in await read(client, "changes://add-login/proposal")
        assert "- [ ] 1.1 Write the form" in await read(client, "changes://add-login/tasks")
        assert await read(client, "changes://add-login/design") == "Keys are random.\n"
        assert "- Status: open\n" in await read(client, "changes://add-login")
        assert "<changes://add-login/deltas/web>" in await read(
            client, "changes://add-login/deltas"
        )
        assert await read(client, "changes://add-login/deltas/web") == "## REMOVED Requirements\n"
        index = await read(client, "changes://")
        assert "[add-login](changes://add-login): Log in with a key (0 of 2 done)" in index

        refused = await client.call_tool("change.archive", {"changeId": "add-login"})
        archived = await client.call_tool(
            "change.archive", {"changeId": "add-login", "force": True}
        )

        assert refused.is_error
        assert "unchecked tasks" in said(refused)
        assert archived.structured_content is not None
        assert archived.structured_content["path"] == "changes/archive/2026-11-21-add-login"
        assert "- Status: archived\n" in await read(client, "changes://add-login")
        assert "# Log in with a key" in await read(client, "changes://add-login/proposal")
        assert "[2026-11-21-add-login](changes://add-login)" in await read(client, "changes://")


async def test_the_resources_are_those_on_the_volume(client: Client, root: Path) -> None:
    async with client:
        before = [resource.uri for resource in (await client.list_resources()).resources]
        await client.call_tool("change.open", WANTED)
        (root / "changes" / "Not A Change").mkdir()
        (root / "changes" / "link").symlink_to(root.parent / "outside")

        listed = (await client.list_resources()).resources

        assert before == ["changes://"]
        assert [resource.uri for resource in listed] == [
            "changes://",
            "changes://add-login",
            "changes://add-login/proposal",
            "changes://add-login/tasks",
            "changes://add-login/design",
            "changes://add-login/deltas",
            "changes://add-login/deltas/user-auth",
            "changes://add-login/deltas/web",
        ]
        for resource in listed:
            assert resource.mime_type == "text/markdown"
            assert await read(client, resource.uri)


async def test_many_changes_are_listed_a_page_at_a_time(client: Client, root: Path) -> None:
    async with client:
        ids = [f"add-{number:04}" for number in range(2 * CHANGES_PER_PAGE + 1)]
        for change_id in ids:
            (root / "changes" / change_id).mkdir(parents=True)

        pages, cursor = [], None
        while True:
            page = await client.list_resources(cursor=cursor)
            pages.append([resource.uri for resource in page.resources])
            cursor = page.next_cursor
            if cursor is None:
                break

        assert list(map(len, pages)) == [CHANGES_PER_PAGE + 1, CHANGES_PER_PAGE, 1]
        assert list(chain(*pages))[1:] == [f"changes://{change_id}" for change_id in ids]


async def test_a_cursor_that_was_never_given_is_refused(client: Client) -> None:
    async with client:
        with pytest.raises(MCPError, match="begin without a cursor") as refused:
            await client.list_resources(cursor="../../etc")

        assert refused.value.code == INVALID_PARAMS


async def test_the_templates_name_every_kind_of_resource(client: Client) -> None:
    async with client:
        templates = (await client.list_resource_templates()).resource_templates

        assert [template.uri_template for template in templates] == [
            "changes://{change}",
            "changes://{change}/proposal",
            "changes://{change}/tasks",
            "changes://{change}/design",
            "changes://{change}/deltas",
            "changes://{change}/deltas/{capability}",
        ]
        assert all(template.mime_type == "text/markdown" for template in templates)
        assert all(template.description for template in templates)


@pytest.mark.requirement("T5")
@pytest.mark.parametrize(
    "change_id",
    [
        pytest.param("../../etc/passwd", id="traversal"),
        pytest.param("/etc/passwd", id="absolute"),
        pytest.param("add\0login", id="nul"),
        pytest.param("..", id="parent"),
        pytest.param("", id="empty"),
        pytest.param("%2e%2e%2f", id="encoded"),
        pytest.param("add\u2044login", id="fraction-slash"),
        pytest.param("archive", id="archive"),
        pytest.param("nul", id="device"),
        pytest.param("a" * 10_000_000, id="ten-megabytes"),
    ],
)
@pytest.mark.parametrize("tool", ["change.open", "change.archive"])
async def test_a_hostile_id_is_refused_clearly_and_nothing_is_touched(
    client: Client, root: Path, tool: str, change_id: str
) -> None:
    async with client:
        result = await client.call_tool(tool, {"changeId": change_id})

        assert result.is_error
        assert "lower-case letters a-z" in said(result)
        assert len(said(result)) < 700
        assert untouched(root)


@pytest.mark.requirement("T5")
async def test_hostile_texts_are_refused_clearly_and_nothing_is_touched(
    client: Client, root: Path
) -> None:
    async with client:
        huge = "a" * 10_000_000
        for argument, value, told in [
            ("title", huge, "at most 200"),
            ("why", huge, "at most 100000"),
            ("tasks", [huge], "at most 500"),
            ("tasks", ["a"] * 100_000, "at most 200"),
            ("tasks", [1] * 100_000, "at most 200"),
            ("tasks", huge, "valid list"),
            ("deltas", {str(number): 1 for number in range(100_000)}, "at most 50"),
            ("deltas", {"../../etc": "a"}, "lower-case letters"),
            ("deltas", {huge: "a"}, "lower-case letters"),
            ("deltas", {"auth": huge}, "at most 100000"),
        ]:
            result = await client.call_tool("change.open", {"changeId": "add", argument: value})

            assert result.is_error
            assert told in said(result)
            assert len(said(result)) < 700
        assert untouched(root)


@pytest.mark.requirement("T5")
@pytest.mark.parametrize(
    ("uri", "told"),
    [
        pytest.param("changes://..%2F..%2Fetc%2Fpasswd", "lower-case", id="encoded"),
        pytest.param("changes://%2e%2e/proposal", "lower-case", id="encoded-dots"),
        pytest.param("changes://%252e%252e/proposal", "lower-case", id="encoded-twice"),
        pytest.param("changes://add%00/proposal", "lower-case", id="nul"),
        pytest.param("changes://%2Fetc%2Fpasswd", "lower-case", id="absolute"),
        pytest.param("changes://archive", "reserved", id="archive"),
        pytest.param("changes://archive/proposal", "reserved", id="in-archive"),
        pytest.param("changes://add-login/deltas/%2e%2e", "lower-case", id="capability"),
        pytest.param("changes://add-login/deltas/none", "does not exist", id="no-delta"),
        pytest.param("changes://../../etc/passwd", "is no resource", id="traversal"),
        pytest.param("changes:///etc/passwd", "is no resource", id="three-slashes"),
        pytest.param("changes://add-login/secrets", "is no resource", id="no-such-document"),
        pytest.param("changes://add-login/", "is no resource", id="slash-at-end"),
        pytest.param("file:///etc/passwd", "is no resource", id="another-scheme"),
        pytest.param("changes://add-logout", "there is no change add-logout", id="unknown"),
        pytest.param("changes://" + "a" * 10_000_000, "is no resource", id="ten-megabytes"),
    ],
)
async def test_a_hostile_uri_is_refused_clearly(client: Client, uri: str, told: str) -> None:
    async with client:
        await client.call_tool("change.open", WANTED)

        with pytest.raises(MCPError, match=told) as refused:
            await client.read_resource(uri)

        assert refused.value.code == INVALID_PARAMS
        assert len(str(refused.value)) < 700


@pytest.mark.requirement("T5")
async def test_symlinks_and_pipes_on_the_volume_are_not_read(client: Client, root: Path) -> None:
    async with client:
        await client.call_tool("change.open", WANTED)
        folder, outside = root / "changes" / "add-login", root.parent / "outside"
        (folder / "proposal.md").unlink()
        (folder / "proposal.md").symlink_to(outside / "proposal.md")
        (folder / "tasks.md").unlink()
        os.mkfifo(folder / "tasks.md")
        (folder / "specs" / "web" / "spec.md").unlink()
        (folder / "specs" / "web").rmdir()
        (folder / "specs" / "web").symlink_to(outside)
        (root / "changes" / "add-link").symlink_to(outside)

        for uri in [
            "changes://add-login/proposal",
            "changes://add-login/tasks",
            "changes://add-login/deltas/web",
            "changes://add-link/proposal",
        ]:
            with pytest.raises(MCPError, match="symlink") as refused:
                await client.read_resource(uri)
            assert refused.value.code == INTERNAL_ERROR
        assert "outside" not in await read(client, "changes://add-login")
        assert "add-link" not in await read(client, "changes://")
        assert "deltas/web" not in await read(client, "changes://add-login/deltas")


async def test_a_root_that_is_missing_is_named(client: Client, root: Path) -> None:
    async with client:
        await asyncio.to_thread(root.rmdir)

        called = await client.call_tool("change.open", WANTED)

        assert called.is_error
        assert "CHANGES_ROOT" in said(called)
        for reading in (client.read_resource("changes://"), client.list_resources()):
            with pytest.raises(MCPError, match="CHANGES_ROOT") as refused:
                await reading
            assert refused.value.code == INTERNAL_ERROR


async def test_waiting_for_the_volume_does_not_hold_up_other_calls(
    client: Client, root: Path
) -> None:
    async with client:
        with Folder.root(root) as holder, holder.locked(1):
            opening = asyncio.create_task(client.call_tool("change.open", WANTED))
            await client.list_tools()
            assert "None." in await read(client, "changes://")
            assert not opening.done()

        assert not (await opening).is_error


async def test_many_calls_at_once_open_one_change(client: Client) -> None:
    async with client:
        answers = await asyncio.gather(*(client.call_tool("change.open", WANTED) for _ in range(8)))

        opened = [(answer.structured_content or {})["opened"] for answer in answers]
        assert sorted(opened) == [False] * 7 + [True]


async def test_listeners_hear_that_the_list_is_another_one(server: ChangesServer) -> None:
    async with Client(server) as client, client.listen(resources_list_changed=True) as heard:
        await client.call_tool("change.open", WANTED)
        async with asyncio.timeout(5):
            event = await anext(aiter(heard))

    assert type(event).__name__ == "ResourcesListChanged"


def test_reading_writes_nothing_so_a_volume_may_be_read_only(
    server: ChangesServer, root: Path
) -> None:
    assert asyncio.run(server.list_resources())[0].uri == "changes://"
    assert untouched(root)


def test_the_root_comes_from_the_environment() -> None:
    assert root_from({}) == Path("/var/lib/changes")
    assert root_from({"CHANGES_ROOT": "/data"}) == Path("/data")
    for wrong in ("data", "./data", "/da\0ta"):
        with pytest.raises(ValueError, match="CHANGES_ROOT"):
            root_from({"CHANGES_ROOT": wrong})
    assert mcp.name == "changes"


async def test_the_call_in_the_guide_works(server: ChangesServer) -> None:
    guide = Path(__file__).parents[3] / "docs" / "how-to" / "changes-server.md"
    text = await asyncio.to_thread(guide.read_text)
    arguments = json.loads(text.split("```json\n")[1].split("```")[0])

    async with Client(server) as client:
        result = await client.call_tool("change.open", arguments)

    assert result.structured_content is not None
    assert result.structured_content["opened"] is True
    assert result.structured_content["documents"][-1] == "changes://add-login/deltas/user-auth"
