"""The tools: change.open and change.archive."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio.to_thread
from mcp.server.mcpserver import Context  # noqa: TC002 - the SDK evaluates a tool's annotations
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

from breakwater_runtime.servers.changes import schemas, uris
from breakwater_runtime.servers.changes.errors import ChangeError
from breakwater_runtime.servers.changes.proposal import Proposal
from breakwater_runtime.servers.changes.results import (  # noqa: TC001 - evaluated by the SDK
    ArchivedChange,
    OpenedChange,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from breakwater_runtime.servers.changes.desk import Desk
    from breakwater_runtime.servers.changes.server import ChangesServer

OPEN = """\
Open a change: make its folder with proposal.md, tasks.md and a spec.md for each delta. Parts left \
out are filled from a template. Repeating a call returns the same change with opened: false; the \
changeId alone returns the change of that id. An id that is taken by another change, or was ever \
archived, is refused."""

ARCHIVE = """\
Archive a change: move its folder to changes/archive/<date>-<changeId>. Refused while tasks are \
unchecked, unless force is true. Repeating a call says where the change lies. Its deltas are moved \
along, not merged into other specifications."""


def add_tools(server: ChangesServer, desk: Desk) -> None:
    """Give the server its tools."""

    @server.tool(
        name="change.open",
        title="Open a change",
        description=OPEN,
        annotations=ToolAnnotations(
            read_only_hint=False,
            destructive_hint=False,
            idempotent_hint=True,
            open_world_hint=False,
        ),
    )
    async def open_change(
        ctx: Context,
        changeId: schemas.ChangeId,  # noqa: N803 - what callers of the tool write
        title: schemas.Title = "",
        why: schemas.Why = "",
        whatChanges: schemas.WhatChanges = "",  # noqa: N803 - what callers of the tool write
        design: schemas.Design = "",
        tasks: schemas.Tasks = [],  # noqa: B006 - part of the schema; never changed
        deltas: schemas.Deltas = {},  # noqa: B006 - part of the schema; never changed
    ) -> OpenedChange:
        proposal = Proposal(changeId, title, why, whatChanges, design, tasks, deltas)
        with _tool_errors():
            opened = await anyio.to_thread.run_sync(desk.open, proposal)
        if opened.opened:
            await _announce(ctx)
        return opened

    @server.tool(
        name="change.archive",
        title="Archive a change",
        description=ARCHIVE,
        annotations=ToolAnnotations(
            read_only_hint=False,
            destructive_hint=True,
            idempotent_hint=True,
            open_world_hint=False,
        ),
    )
    async def archive_change(
        ctx: Context,
        changeId: schemas.ChangeId,  # noqa: N803 - what callers of the tool write
        force: schemas.Force = False,
    ) -> ArchivedChange:
        with _tool_errors():
            archived = await anyio.to_thread.run_sync(partial(desk.archive, changeId, force=force))
        if archived.archived:
            await _announce(ctx)
        return archived


async def _announce(ctx: Context) -> None:
    """Tell those who listen to this replica that the list of resources is another one."""
    await ctx.notify_resources_changed()
    await ctx.notify_resource_updated(uris.INDEX)


@contextmanager
def _tool_errors() -> Iterator[None]:
    try:
        yield
    except ChangeError as error:
        raise ToolError(str(error)) from error
