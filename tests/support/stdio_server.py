"""An MCP server in a few lines, without any library: it starts at once and behaves as it is told.

`python stdio_server.py [MODE [ARGUMENT]]` speaks 2025-11-25 over standard streams. The modes are
the ways in which servers misbehave.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

VERSION = "2025-11-25"
schema: dict[str, Any] = {"type": "object"}
count = 0


def say(message: dict[str, Any]) -> None:
    """Write one message."""
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(said: object, *, is_error: bool = False) -> dict[str, Any]:
    """Make the result of a tool."""
    return {"content": [{"type": "text", "text": str(said)}], "isError": is_error}


def steps(meta: dict[str, Any]) -> dict[str, Any]:
    """Report progress three times."""
    for step in range(3):
        params = {"progressToken": meta.get("progressToken"), "progress": step}
        say({"method": "notifications/progress", "params": params})
    return text("done")


def counted() -> dict[str, Any]:
    """Count the calls of this process."""
    global count
    count += 1
    return text(count)


def ask() -> dict[str, Any]:
    """Ask the user, and repeat what came back."""
    say({"id": "question", "method": "elicitation/create", "params": {"message": "sure?"}})
    said = json.loads(sys.stdin.readline())
    return text(json.dumps(said.get("result") or said.get("error")))


def slept(seconds: float) -> dict[str, Any]:
    """Sleep, deaf to everything."""
    time.sleep(seconds)
    return text("slept")


TOOLS: dict[str, Callable[[dict[str, Any], dict[str, Any]], Any]] = {
    "echo": lambda given, _: text(given.get("text")),
    "count": lambda *_: counted(),
    "pid": lambda *_: text(os.getpid()),
    "environment": lambda given, _: text(os.getenv(given["variable"])),  # noqa: TID251 - it is what is asked for
    "steps": lambda _, meta: steps(meta),
    "sleep": lambda given, _: slept(given["seconds"]),
    "die": lambda *_: os._exit(3),
    "silent": lambda *_: None,
    "allocate": lambda given, _: text(len(bytearray(given["bytes"]))),
    "ask": lambda *_: ask(),
}
"""What each tool makes of its arguments and `_meta`; None: it never answers."""


def answer(message: dict[str, Any]) -> Any:
    """Answer a request."""
    method, params = message["method"], message.get("params") or {}
    if method == "initialize":
        return {
            "protocolVersion": VERSION,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "lean", "version": "1"},
        }
    if method == "ping":
        return {}
    if method == "tools/list":
        return {"tools": [{"name": name, "inputSchema": schema} for name in TOOLS]}
    if method == "tools/call":
        tool = TOOLS.get(params["name"])
        if tool is None:
            return text("no such tool", is_error=True)
        return tool(params.get("arguments") or {}, params.get("_meta") or {})
    return ...


def messages() -> Iterator[dict[str, Any]]:
    """Read until there is no more."""
    for line in sys.stdin:
        yield json.loads(line)


def respond(message: dict[str, Any]) -> None:
    """Answer a request, or say that there is no such method."""
    result = answer(message)
    if result is ...:
        error = {"code": -32601, "message": "Method not found"}
        say({"id": message["id"], "error": error})
    elif result is not None:
        say({"id": message["id"], "result": result})


def serve() -> None:
    """Behave."""
    for message in messages():
        if "id" not in message or "method" not in message:
            continue
        respond(message)


def repeats() -> None:
    """Have clients repeat an argument as a header, and serve."""
    schema["properties"] = {"text": {"type": "string", "x-mcp-header": "Text"}}
    serve()


def flood_stderr() -> None:
    """Write more to standard error than anybody wants, and serve."""
    if os.fork() == 0:
        while True:
            os.write(2, b"noise " * 1000 + b"\n")
    serve()


def never_read() -> None:
    """Answer the greeting and read nothing more."""
    for message in messages():
        if message.get("method") == "tools/call":
            break
        if message.get("method") == "tools/list":
            say({"id": message["id"], "result": answer(message)})
            break
        if "id" in message:
            respond(message)
    time.sleep(3600)


def endless_line() -> None:
    """Answer the greeting, then write a gigabyte without an end of line at the first call."""
    for message in messages():
        if message.get("method") == "tools/call":
            for _ in range(1024):
                os.write(1, b"x" * 1024 * 1024)
            return
        if "id" in message:
            respond(message)


def half_line() -> None:
    """Answer the greeting, then begin a long message at the first call, and never end it."""
    for message in messages():
        if message.get("method") == "tools/call":
            os.write(1, b'{"x": "')
            for _ in range(12):
                os.write(1, b"x" * 1024 * 1024)
            time.sleep(3600)
        if "id" in message:
            respond(message)


def garbage() -> None:
    """Write what is no message, for ever."""
    while True:
        os.write(1, os.urandom(4096) + b"\n")


def grandchildren() -> None:
    """Start processes in sessions of their own, one of which starts another and ends; serve."""
    script = (
        "import subprocess; subprocess.Popen(['sleep', '3600'], start_new_session=True, "
        "stdin=subprocess.DEVNULL)"
    )
    subprocess.Popen(
        [sys.executable, "-c", script], start_new_session=True, stdin=subprocess.DEVNULL
    )
    subprocess.Popen(["sleep", "3600"], start_new_session=True, stdin=subprocess.DEVNULL)
    serve()


def ignores_term() -> None:
    """Ignore SIGTERM and the end of the input."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve()
    time.sleep(3600)


def exits() -> None:
    """End at once, with a reason."""
    sys.stderr.write("no database at db.example\n")
    sys.exit(7)


def slow() -> None:
    """Take a while to start."""
    time.sleep(float(sys.argv[2]))
    serve()


def ignores_unknown() -> None:
    """Say nothing to methods that it does not know."""
    for message in messages():
        if "id" in message and (result := answer(message)) is not ...:
            say({"id": message["id"], "result": result})


def listens() -> None:
    """Serve over HTTP, at a port of the loopback address, and without sessions."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["content-length"])))
            result = answer(message) if "id" in message else None
            error = {"code": -32601, "message": "Method not found"}
            said = {"error": error} if result is ... else {"result": result}
            body = json.dumps({"jsonrpc": "2.0", "id": message.get("id"), **said}).encode()
            self.send_response(200 if "id" in message else 202)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body) if "id" in message else 0))
            self.end_headers()
            if "id" in message:
                self.wfile.write(body)

        def do_GET(self) -> None:
            self.send_error(405)

        def do_DELETE(self) -> None:
            self.send_error(405)

    sys.stderr.write("started\n")
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()


def chatters() -> None:
    """Write a notification after another, for ever, and never anything else."""
    if os.fork() == 0:
        while True:
            say({"method": "notifications/message", "params": {"level": "info", "data": "x" * 200}})
    serve()


def main() -> None:
    """Behave as told."""
    modes = {
        "good": serve,
        "repeats": repeats,
        "flood-stderr": flood_stderr,
        "never-read": never_read,
        "endless-line": endless_line,
        "half-line": half_line,
        "garbage": garbage,
        "grandchildren": grandchildren,
        "ignores-term": ignores_term,
        "exits": exits,
        "slow": slow,
        "ignores-unknown": ignores_unknown,
        "chatters": chatters,
        "listens": listens,
    }
    modes[sys.argv[1] if len(sys.argv) > 1 else "good"]()


if __name__ == "__main__":
    main()
