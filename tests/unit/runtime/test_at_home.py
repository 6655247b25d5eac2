"""Which requests go to the home of their principal, and what becomes of them where it is gone."""

from typing import TYPE_CHECKING, Any, cast

import pytest
from starlette.types import Message, Receive, Scope, Send

from breakwater_runtime.calls import Principal, Problem, Refused, Request
from breakwater_runtime.protocol.at_home import AtHome
from breakwater_runtime.protocol.session_ids import Pod

if TYPE_CHECKING:
    from breakwater_runtime.protocol.forwarding import Forwarder
    from breakwater_runtime.protocol.homes import Homes

HOME = Pod("10.0.0.2:9465", "pod-2")
PARTS = [b'{"jsonrpc"', b': "2.0"}']


class Elsewhere:
    """Stands for the homes and the way to them."""

    def __init__(self, problem: Problem | None = None) -> None:
        self.problem = problem
        self.lost_pods: list[Pod] = []
        self.took: list[bytes] = []

    def of(self, principal: str) -> Pod | None:
        return HOME if principal == "alice" else None

    def lost(self, pod: Pod) -> None:
        self.lost_pods.append(pod)

    async def forward(self, owner: Pod, scope: Scope, receive: Receive, send: Send) -> None:
        assert owner is HOME
        assert scope["path"]
        self.took.append(await read(receive))
        if self.problem is not None:
            raise Refused(self.problem)
        await send({"type": "by the home"})


async def read(receive: Receive) -> bytes:
    content, more = b"", True
    while more:
        message = await receive()
        content, more = content + message["body"], message["more_body"]
    return content


async def ask(
    elsewhere: Elsewhere,
    who: str = "alice",
    path: str = "/mcp",
    method: str = "POST",
    **headers: str,
) -> tuple[list[bytes], list[str]]:
    """Ask through a pod; get the bodies that it answered itself, and who answered."""
    here: list[bytes] = []
    by: list[str] = []
    waiting = list(PARTS)

    async def endpoints(scope: Scope, receive: Receive, send: Send) -> None:
        here.append(await read(receive) if scope["method"] == "POST" else b"")
        await send({"type": "here"})

    async def receive() -> Message:
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        by.append(message["type"])

    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "headers": []}
    request = Request("1", headers=named)
    request.principal = Principal(who)
    request.bind(scope)
    homes, forwarder = cast("Homes", elsewhere), cast("Forwarder", elsewhere)
    await AtHome(endpoints, homes, forwarder)(scope, receive, send)
    return here, by


@pytest.mark.parametrize("path", ["/mcp", "/rpc"])
async def test_requests_without_a_session_go_home(path: str) -> None:
    elsewhere = Elsewhere()

    assert await ask(elsewhere, path=path) == ([], ["by the home"])
    assert elsewhere.took == [b"".join(PARTS)]


@pytest.mark.parametrize(
    "request_of",
    [
        pytest.param({"who": "bob"}, id="at-home-here"),
        pytest.param({"mcp_session_id": "x"}, id="of-a-session"),
        pytest.param({"path": "/tools/echo"}, id="plain"),
        pytest.param({"method": "GET"}, id="stream-of-a-session"),
        pytest.param({"accept": "application/x-ndjson"}, id="lines"),
    ],
)
async def test_others_are_answered_where_they_come(request_of: dict[str, str]) -> None:
    elsewhere = Elsewhere()

    _, by = await ask(elsewhere, **request_of)

    assert by == ["here"]
    assert elsewhere.took == []


@pytest.mark.parametrize("problem", [Problem.SESSION_NOT_FOUND, Problem.OWNER_UNREACHABLE])
async def test_where_the_home_is_gone_the_whole_request_is_answered_here(problem: Problem) -> None:
    elsewhere = Elsewhere(problem)

    assert await ask(elsewhere) == ([b"".join(PARTS)], ["here"])
    assert elsewhere.lost_pods == [HOME]


async def test_what_may_have_been_done_is_not_done_again() -> None:
    with pytest.raises(Refused) as refused:
        await ask(Elsewhere(Problem.SHUTTING_DOWN))

    assert refused.value.problem is Problem.SHUTTING_DOWN
