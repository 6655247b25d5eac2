"""The MCP SDK's own server over Streamable HTTP."""

from bench.servers.arguments import arguments, serve
from bench.servers.objects import server


def main() -> None:
    """Serve with the SDK's transport."""
    told = arguments()
    serve(
        server.streamable_http_app(json_response=told.json, stateless_http=told.stateless),
        told.port,
    )


if __name__ == "__main__":
    main()
