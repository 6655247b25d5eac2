"""The floor: what uvicorn, uvloop and httptools cost with nothing behind them."""

from typing import Any

from bench.servers.arguments import arguments, serve

BODY = (
    b'{"jsonrpc":"2.0","id":1000000000,"result":{"content":[{"type":"text",'
    b'"text":"number1000000000"}],"isError":false}}'
)
HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(BODY)).encode()),
]


async def constant(scope: Any, receive: Any, send: Any) -> None:
    """Answer everything with the same bytes, once the request has been read."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


if __name__ == "__main__":
    serve(constant, arguments().port)
