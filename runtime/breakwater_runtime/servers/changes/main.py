"""The server as a whole, and the one that a `python` backend names."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

from breakwater_runtime.servers.changes.desk import Desk
from breakwater_runtime.servers.changes.resources import add_resources
from breakwater_runtime.servers.changes.server import ChangesServer
from breakwater_runtime.servers.changes.tools import add_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT_VARIABLE = "CHANGES_ROOT"
DEFAULT_ROOT = "/var/lib/changes"


def changes_server(root: Path, today: Callable[[], date]) -> ChangesServer:
    """Return an MCP server over the change folders below a root."""
    server = ChangesServer(root, version("mcp-breakwater"))
    add_tools(server, Desk(root, today))
    add_resources(server, root)
    return server


def root_from(environment: Mapping[str, str]) -> Path:
    """Return the root that the environment names.

    Raises:
        ValueError: It is no absolute path.
    """
    root = environment.get(ROOT_VARIABLE) or DEFAULT_ROOT
    if not root.startswith("/") or "\0" in root:
        raise ValueError(
            f"{ROOT_VARIABLE}: {root!r} is not an absolute path; name the folder where the volume "
            f"is mounted, for example {DEFAULT_ROOT}"
        )
    return Path(root)


def _today() -> date:
    return datetime.fromtimestamp(time(), UTC).date()


# Not a setting of the runtime: a python backend is a program of its own, and the environment that
# `backends[].python.env` gives it is how it is configured.
mcp = changes_server(root_from(os.environ), _today)  # noqa: TID251 - the reason stands above
