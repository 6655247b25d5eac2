"""The resources: the list of changes, each change, its documents and its deltas."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mcp.server.mcpserver.resources import ResourceSecurity

from breakwater_runtime.servers.changes import documents, library, pages, uris
from breakwater_runtime.servers.changes.folder import Folder
from breakwater_runtime.servers.changes.listing import MARKDOWN
from breakwater_runtime.servers.changes.names import checked
from breakwater_runtime.servers.changes.server import resource_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from breakwater_runtime.servers.changes.library import Change
    from breakwater_runtime.servers.changes.server import ChangesServer

# The SDK would answer the worst names with "unknown resource". Our own check lets through a small
# part of what it does, and says what to write.
_OWN_CHECK = ResourceSecurity(exempt_params={"change", "capability"})


def add_resources(server: ChangesServer, root_path: Path) -> None:
    """Give the server its resources."""

    @contextmanager
    def opened(change: str) -> Iterator[Change]:
        with (
            resource_errors(),
            Folder.root(root_path) as root,
            library.any_change(root, change) as found,
        ):
            yield found

    @server.resource(uris.INDEX, name="changes", title="All changes", mime_type=MARKDOWN)
    def index() -> str:
        """List the open changes with their progress, and those archived last."""
        with resource_errors(), Folder.root(root_path) as root:
            return pages.index(root)

    @server.resource(
        uris.CHANGE, name="change", title="Change", mime_type=MARKDOWN, security=_OWN_CHECK
    )
    def overview(change: str) -> str:
        """Describe a change: title, status, progress, and where its documents are."""
        with opened(change) as found:
            return pages.overview(found)

    def add_document(uri: str, name: str, file: str, description: str) -> None:
        @server.resource(
            uri,
            name=name,
            title=name.capitalize(),
            description=description,
            mime_type=MARKDOWN,
            security=_OWN_CHECK,
        )
        def document(change: str) -> str:
            with opened(change) as found:
                return found.document(file)

    add_document(uris.PROPOSAL, "proposal", documents.PROPOSAL, "Why a change is proposed.")
    add_document(uris.TASKS, "tasks", documents.TASKS, "What is to be done for a change.")
    add_document(uris.DESIGN, "design", documents.DESIGN, "Technical decisions of a change.")

    @server.resource(
        uris.DELTAS, name="deltas", title="Deltas", mime_type=MARKDOWN, security=_OWN_CHECK
    )
    def deltas(change: str) -> str:
        """List the capabilities whose requirements a change alters."""
        with opened(change) as found:
            return pages.deltas(found)

    @server.resource(
        uris.DELTA, name="delta", title="Delta", mime_type=MARKDOWN, security=_OWN_CHECK
    )
    def delta(change: str, capability: str) -> str:
        """Show how a change alters the requirements of one capability."""
        with opened(change) as found:
            checked("the capability", capability)
            return found.document(documents.SPECS, capability, documents.SPEC)
