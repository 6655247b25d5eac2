"""How pods of one server get to know each other: each says at its internal port which one it is."""

import asyncio
from collections.abc import Awaitable, Callable

import orjson
from starlette.responses import Response
from starlette.types import ASGIApp, Scope

from breakwater_contract.names import FORWARD_OLDEST
from breakwater_runtime.calls import Problem, Refused, Request
from breakwater_runtime.protocol.peers import Peers
from breakwater_runtime.protocol.session_ids import Pod
from breakwater_runtime.protocol.upstream import LateError, LostError

PATH = "/peer"
ANSWER_SECONDS = 1.0
"""How long a pod may take to say who it is before it is left out."""


class Introduction:
    """The step that answers who this process is; whoever asks has shown a certificate of ours."""

    def __init__(self, here: Pod, takes_requests: Callable[[], bool]) -> None:
        """Introduce `here`; `takes_requests` says whether it is well, and is not to stop."""
        self._here = here
        self._takes_requests = takes_requests

    def __call__(
        self,
        scope: Scope,
        request: Request,  # noqa: ARG002 - as Step has it
    ) -> Awaitable[ASGIApp] | None:
        """Answer at one path; let others go on."""
        return self._answer(scope["method"]) if scope["path"] == PATH else None

    async def _answer(self, method: str) -> ASGIApp:
        if method != "GET":
            raise Refused(Problem.METHOD_NOT_ALLOWED, headers={"allow": "GET"})
        here = self._here
        said = {"uid": here.uid, "boot": here.boot, "forward": here.version}
        ready = self._takes_requests()
        return Response(orjson.dumps(said | {"ready": ready}), media_type="application/json")


async def introduced(peers: Peers, address: str) -> Pod | None:
    """Ask who is at an address; None: nobody who would take requests from us now."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            status, content = await _asked(peers, address)
        said = orjson.loads(content)
        if status != 200 or said["ready"] is not True or int(said["forward"]) < FORWARD_OLDEST:
            return None
        return Pod(address, str(said["uid"]), str(said["boot"]), int(said["forward"]))
    except (TimeoutError, LostError, LateError, Refused):
        return None
    except (ValueError, LookupError, TypeError):  # a release that has no introductions
        return None


async def _asked(peers: Peers, address: str) -> tuple[int, bytes]:
    upstream = peers.idle(address) or await peers.connect(address)
    try:
        upstream.send(f"GET {PATH} HTTP/1.1\r\nhost: {address}\r\n\r\n".encode(), b"")
        status, _ = await upstream.head()
        content, more = await upstream.part()
        while more:
            part, more = await upstream.part()
            content += part
    finally:
        peers.release(address, upstream)
    return status, content
