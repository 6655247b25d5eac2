"""The MCP server over one root: two tools, and the changes as resources."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, ListResourcesResult

from breakwater_runtime.servers.changes import listing, uris
from breakwater_runtime.servers.changes.errors import ChangeError, NotAcceptedError, NotFoundError
from breakwater_runtime.servers.changes.folder import Folder
from breakwater_runtime.servers.changes.names import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mcp.server.context import ServerRequestContext
    from mcp.server.lowlevel.helper_types import ReadResourceContents
    from mcp.server.mcpserver import Context
    from mcp_types import InputRequiredResult, PaginatedRequestParams, Resource
    from pydantic import AnyUrl

INSTRUCTIONS = f"""\
Change proposals as folders of Markdown. change.open starts one, change.archive closes it. Read \
{uris.INDEX} for all changes, then {uris.PROPOSAL}, {uris.TASKS} and {uris.DELTAS}."""


class ChangesServer(MCPServer[Any]):
    """An MCPServer whose list of resources is what lies on the volume."""

    def __init__(self, root: Path, version: str) -> None:
        super().__init__(
            "changes", title="Change folders", instructions=INSTRUCTIONS, version=version
        )
        self._root = root

    async def list_resources(self) -> list[Resource]:
        """Return the first page of resources."""
        return (await self._page(None)).resources

    async def _handle_list_resources(
        self, ctx: ServerRequestContext[Any], params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        # Of the SDK's methods only this one, which list_resources() serves, is told the cursor.
        del ctx
        page = await self._page(params.cursor if params else None)
        return ListResourcesResult(resources=page.resources, next_cursor=page.next_cursor)

    async def _page(self, cursor: str | None) -> listing.Page:
        def read() -> listing.Page:
            with Folder.root(self._root) as root:
                return listing.page(root, cursor)

        try:
            return await anyio.to_thread.run_sync(read)
        except NotAcceptedError as error:
            raise MCPError(code=INVALID_PARAMS, message=str(error)) from error
        except ChangeError as error:
            raise MCPError(code=INTERNAL_ERROR, message=str(error)) from error

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[Any, Any] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """Read a resource; an unknown one is answered with the forms there are."""
        text = str(uri)
        if len(text) > uris.LENGTH_MAX:
            # Said here and not below, where the whole URI would be logged and sent back.
            raise MCPError(code=INVALID_PARAMS, message=_unknown(text))
        try:
            return await super().read_resource(uri, context)
        except KnownFormError:
            raise
        except ResourceNotFoundError as error:
            raise ResourceNotFoundError(_unknown(text)) from error


class KnownFormError(ResourceNotFoundError):
    """A URI of a known form names nothing."""


def _unknown(uri: str) -> str:
    return f"{shown(uri)} is no resource of this server; it has {', '.join(uris.FORMS)}"


@contextmanager
def resource_errors() -> Iterator[None]:
    """Tell a reader that a resource does not exist (-32602) or cannot be read (-32603)."""
    try:
        yield
    except (NotAcceptedError, NotFoundError) as error:
        raise KnownFormError(str(error)) from error
    except ChangeError as error:
        raise ResourceError(str(error)) from error
