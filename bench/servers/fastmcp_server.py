"""FastMCP over Streamable HTTP; it runs in an environment of its own."""

from fastmcp import FastMCP

from bench.servers.arguments import arguments, serve
from bench.servers.tools import TOOLS


def main() -> None:
    """Serve the same functions with FastMCP."""
    told = arguments()
    server = FastMCP("bench")
    for tool in TOOLS:
        server.tool(tool)
    app = server.http_app(path="/mcp", json_response=told.json, stateless_http=told.stateless)
    serve(app, told.port)


if __name__ == "__main__":
    main()
