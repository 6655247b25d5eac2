"""Bodies of requests and answers that are written at once."""

from starlette.types import Receive, Send


async def read(receive: Receive) -> bytes | None:
    """Read a body; None: the client is gone."""
    message = await receive()
    if message["type"] == "http.disconnect":
        return None
    if not message.get("more_body", False):
        return bytes(message.get("body", b""))
    parts = [message.get("body", b"")]
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
    return b"".join(parts)


async def accept(send: Send) -> None:
    """Say that a message was taken, and that nothing more will be said of it."""
    await answer(send, 202, b"")


async def answer(send: Send, status: int, content: bytes) -> None:
    """Answer with JSON, or with nothing."""
    headers = [(b"content-length", b"%d" % len(content))]
    if content:
        headers.append((b"content-type", b"application/json"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
