"""What the operator asks of pods, and what it makes of any answer."""

import json
from collections.abc import AsyncIterator
from typing import Any

import jwt
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from breakwater_operator.probe.health import HEALTH_BYTES_MAX, KEY_UNKNOWN
from breakwater_operator.probe.prober import HandshakeError, HttpProber, Target
from breakwater_operator.probe.token import SigningKey
from breakwater_operator.status.facts import Finding

KEY = SigningKey.read(SigningKey.fresh())
TARGET = Target("p", "127.0.0.1", "server-uid", ("ns", "crm"))
HEALTH = {
    "status": "ok",
    "revision": "abc",
    "loaded": {"live": "0123"},
    "settings": {"fault": "alice: line 1: not a key"},
    "sharedRates": {"fault": "valkey:6379: does not answer"},
    "operatorKeys": ["k1"],
    "sessions": 3,
    "backends": [
        {"name": "main", "state": "ready", "message": ""},
        {"name": "old", "state": "failed", "message": "cannot import old"},
        {
            "name": "new",
            "state": "failed",
            "message": "it is open",
            "findings": [{"reason": "BackendExposed", "message": "it is open"}],
        },
    ],
}
SERVER = {"io.modelcontextprotocol/serverInfo": {"name": "crm", "version": "3"}}
DISCOVERED = {
    "supportedVersions": ["2026-07-28"],
    "capabilities": {},
    "ttlMs": 0,
    "cacheScope": "private",
    "_meta": SERVER,
}
TOOL = {"name": "get", "inputSchema": {"type": "object"}}


class FakePod:
    """Answers as a runtime does, or as a test says."""

    def __init__(self) -> None:
        self.health: Any = HEALTH
        self.pages: list[Any] = [{"tools": [TOOL, TOOL], "ttlMs": 0, "cacheScope": "private"}]
        self.discovered: Any = DISCOVERED
        self.seen: list[web.Request] = []
        self.methods: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append(request)
        if request.path == "/health":
            return web.Response(text=json.dumps(self.health))
        message = await request.json()
        self.methods.append(message["method"])
        is_hello = message["method"] == "server/discover"
        result = self.discovered if is_hello else self.pages.pop(0)
        if isinstance(result, int):
            return web.Response(status=result)
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": result})


@pytest.fixture
def pod() -> FakePod:
    return FakePod()


@pytest.fixture
async def prober(pod: FakePod) -> AsyncIterator[HttpProber]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", pod.answer)
    async with TestServer(app) as server:
        made = HttpProber(lambda: [KEY], port=server.port or 0)
        yield made
        await made.close()


async def test_health_says_what_is_loaded_and_what_is_wrong(prober: HttpProber) -> None:
    probe = await prober.health(TARGET)

    assert (probe.reached, probe.revision, probe.live) == (True, "abc", "0123")
    assert (probe.sessions, probe.operator_keys) == (3, ("k1",))
    assert probe.settings_fault == "alice: line 1: not a key"
    assert probe.rates_fault == "valkey:6379: does not answer"
    assert probe.findings == (
        Finding("old", "", "cannot import old"),
        Finding("new", "BackendExposed", "it is open"),
    )


async def test_the_token_names_one_server_and_lives_a_minute(
    prober: HttpProber, pod: FakePod
) -> None:
    await prober.health(TARGET)

    token = pod.seen[0].headers["Authorization"].removeprefix("Bearer ")
    public = load_pem_public_key(KEY.public.public_key.encode())
    claims = jwt.decode(token, public, ["EdDSA"], audience="server-uid")  # type: ignore[arg-type] # it is an Ed25519 key
    assert jwt.get_unverified_header(token)["kid"] == KEY.public.kid
    assert claims["iss"] == "breakwater-operator"
    assert claims["sub"] == "breakwater:operator"
    assert claims["scope"] == "server.discover tools.list"
    assert claims["exp"] - claims["iat"] == 60


async def test_a_handshake_discovers_and_counts_the_tools_of_all_pages(
    prober: HttpProber, pod: FakePod
) -> None:
    page = pod.pages[0]
    pod.pages = [page | {"nextCursor": "2"}, page]

    info = await prober.handshake(TARGET)

    assert pod.methods == ["server/discover", "tools/list", "tools/list"]
    assert (info.name, info.version, info.tools) == ("crm", "3", 4)
    assert info.protocol_versions == ("2026-07-28",)
    assert pod.seen[0].headers["MCP-Protocol-Version"] == "2026-07-28"
    assert pod.seen[0].headers["Mcp-Method"] == "server/discover"


@pytest.mark.parametrize(
    ("discovered", "words"),
    [
        pytest.param(500, "/mcp answered 500 to server/discover", id="error"),
        pytest.param({}, "answered a DiscoverResult that is not one", id="not-a-result"),
        pytest.param("hello", "answered a DiscoverResult that is not one", id="not-an-object"),
        pytest.param(DISCOVERED | {"_meta": {}}, "without a serverInfo", id="nameless"),
        pytest.param(DISCOVERED | {"_meta": [1]}, "a DiscoverResult that is", id="meta-no-object"),
        pytest.param(
            DISCOVERED | {"_meta": {next(iter(SERVER)): 1}}, "an? Implementation", id="odd-name"
        ),
    ],
)
async def test_a_wrong_handshake_is_told_in_words(
    prober: HttpProber, pod: FakePod, discovered: Any, words: str
) -> None:
    pod.discovered = discovered

    with pytest.raises(HandshakeError, match=words):
        await prober.handshake(TARGET)


async def test_tools_without_end_are_given_up(prober: HttpProber, pod: FakePod) -> None:
    pod.pages = [pod.pages[0] | {"nextCursor": "again"}] * 100

    with pytest.raises(HandshakeError, match="more than 20 pages"):
        await prober.handshake(TARGET)


@pytest.mark.parametrize("health", [[], "x", {"loaded": []}, {"loaded": {}, "backends": [1]}])
async def test_health_of_any_shape_is_survived(
    prober: HttpProber, pod: FakePod, health: Any
) -> None:
    pod.health = health

    probe = await prober.health(TARGET)

    assert probe.live is None
    assert probe.fault is not None


HALF = "\ud800"
"""Half of a character: JSON can say it, and nobody can write it down."""


@pytest.mark.parametrize(
    "health",
    [
        pytest.param({"settings": {"fault": f"a{HALF}"}}, id="fault"),
        pytest.param(
            {
                "backends": [
                    {
                        "name": "a",
                        "state": "failed",
                        "findings": [{"reason": HALF, "message": HALF}],
                    }
                ]
            },
            id="finding",
        ),
        pytest.param({"backends": [{"name": HALF, "state": HALF}]}, id="backend"),
        pytest.param({"sessions": 10**30}, id="sessions"),
        pytest.param({"backends": [{"name": "x" * 9, "state": "x"}] * 3000}, id="many"),
        pytest.param({"settings": {"fault": "x" * 200_000}}, id="long"),
    ],
)
async def test_what_is_kept_of_health_can_be_written_into_a_status(
    prober: HttpProber, pod: FakePod, health: Any
) -> None:
    pod.health = {"loaded": {"live": "0123"}} | health

    probe = await prober.health(TARGET)

    assert probe.live == "0123"
    kept = [probe.settings_fault, probe.sessions, *map(vars, probe.findings)]
    assert len(orjson.dumps(kept)) < 100_000


async def test_an_endless_answer_is_not_read_to_its_end(prober: HttpProber, pod: FakePod) -> None:
    pod.health = {"loaded": {"live": "0123"}, "more": "x" * HEALTH_BYTES_MAX}

    probe = await prober.health(TARGET)

    assert (probe.live, probe.fault) == (None, "/health answered something else than health")


async def test_a_pod_that_does_not_know_our_key_counts_as_not_reached(
    prober: HttpProber, pod: FakePod
) -> None:
    pod.health = {"status": "ok"}

    probe = await prober.health(TARGET)

    assert (probe.reached, probe.fault) == (False, KEY_UNKNOWN)


async def test_a_pod_that_does_not_answer_is_named_with_the_reason() -> None:
    prober = HttpProber(lambda: [KEY], port=1)

    probe = await prober.health(TARGET)
    with pytest.raises(HandshakeError, match=r"/mcp did not answer: Connection refused$"):
        await prober.handshake(TARGET)

    assert (probe.reached, probe.fault) == (False, "/health did not answer: Connection refused")
    await prober.close()
