"""Notes that are kept in memory, for as long as the process lives.

`python -m notes.main` speaks MCP over its standard streams; `python -m notes.main --port 8000`
over HTTP, by default on 127.0.0.1.
"""

import argparse
import os
from pathlib import Path

from mcp.server import MCPServer

mcp = MCPServer("notes", version="1.0")
kept: list[str] = []


@mcp.tool()
def keep(text: str) -> int:
    """Keep a note, and say how many there are."""
    kept.append(text)
    return len(kept)


@mcp.tool()
def read() -> list[str]:
    """Read all notes."""
    return kept


@mcp.tool()
def whereabouts() -> dict[str, str | int]:
    """Say where the process runs, and as whom."""
    return {"home": str(Path.home()), "user": os.getuid(), "process": os.getpid()}


def main() -> None:
    """Serve until the client has gone, or for ever."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int)
    parser.add_argument("--host", default="127.0.0.1")
    arguments = parser.parse_args()
    if arguments.port is None:
        mcp.run("stdio")
    else:
        mcp.run("streamable-http", host=arguments.host, port=arguments.port)


if __name__ == "__main__":
    main()
