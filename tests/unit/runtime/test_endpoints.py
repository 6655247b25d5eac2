"""The table of endpoints: what is found, what is closed, which methods are for it."""

import orjson
import pytest
from starlette.types import Receive, Scope, Send

from breakwater_runtime.calls import Problem, Refused
from breakwater_runtime.http.endpoints import Endpoint, Endpoints
from tests.unit.runtime.asgi import Caller
from tests.unit.runtime.wire import reply


async def echo_path(scope: Scope, _receive: Receive, send: Send) -> None:
    await reply(send, orjson.dumps(scope["path"]))


@pytest.fixture
def opened() -> set[str]:
    return {"REST"}


@pytest.fixture
def endpoints(opened: set[str]) -> Endpoints:
    table = [
        Endpoint("/open", echo_path),
        Endpoint("/tools", echo_path, methods=("GET",), setting="REST"),
        Endpoint("/tools/{name}", echo_path, methods=("POST",), setting="REST"),
        Endpoint("/rpc", echo_path, setting="JSONRPC"),
    ]
    return Endpoints(table, lambda: opened)


@pytest.mark.parametrize(
    ("method", "path", "problem"),
    [
        pytest.param("PUT", "/open", None, id="looks-at-methods-itself"),
        pytest.param("GET", "/tools", None, id="exact"),
        pytest.param("POST", "/tools/a/b", None, id="a-name-with-a-slash"),
        pytest.param("GET", "/tools/a", Problem.METHOD_NOT_ALLOWED, id="method"),
        pytest.param("POST", "/tools/", Problem.NOT_FOUND, id="no-name"),
        pytest.param("GET", "/Tools", Problem.NOT_FOUND, id="another-case"),
        pytest.param("GET", "/tools/../rpc", Problem.METHOD_NOT_ALLOWED, id="no-way-up"),
        pytest.param("POST", "/rpc", Problem.ENDPOINT_CLOSED, id="closed"),
        pytest.param("PUT", "/rpc", Problem.ENDPOINT_CLOSED, id="closed-for-all-methods"),
    ],
)
async def test_a_request_reaches_its_endpoint_or_is_told_why_not(
    endpoints: Endpoints, method: str, path: str, problem: Problem | None
) -> None:
    exchange = Caller(endpoints, url=path).send(method)
    if problem is None:
        assert await exchange.json() == path
        return

    with pytest.raises(Refused) as refused:
        await exchange.ended()

    assert refused.value.problem is problem
    if problem is Problem.METHOD_NOT_ALLOWED:
        assert refused.value.headers == {"allow": "POST"}


@pytest.mark.requirement("K6")
async def test_an_endpoint_is_opened_and_closed_while_the_others_go_on(
    endpoints: Endpoints, opened: set[str]
) -> None:
    opened ^= {"REST", "JSONRPC"}

    with pytest.raises(Refused) as refused:
        await Caller(endpoints, url="/tools").send("GET").ended()

    assert refused.value.message == "The endpoint REST is closed."
    assert await Caller(endpoints, url="/rpc").send("POST").json() == "/rpc"
    assert await Caller(endpoints, url="/open").send("GET").json() == "/open"
