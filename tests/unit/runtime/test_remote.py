"""Another MCP server by its URL: trust, addresses, credentials, the breaker."""

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from breakwater_contract.backends import Reason
from breakwater_contract.remote import RemoteBackend as Settings
from breakwater_runtime.backends import remote
from breakwater_runtime.backends.remote import RemoteBackend
from breakwater_runtime.backends.remote.addresses import Addresses
from breakwater_runtime.backends.remote.exchange import ExchangeError, Exchanger
from breakwater_runtime.calls import Call, Request, RpcError, StartError
from breakwater_runtime.resilience.breaker import Breaker
from tests.support.certificates import localhost_certificate
from tests.unit.runtime import answering, containers
from tests.unit.runtime.answering import Asked, Respond, echo, error, older, result, send
from tests.unit.runtime.containers import MODERN, call, eventually, text, tool

BUNDLE = "-----BEGIN CERTIFICATE-----"
HERE = {"addresses": ["127.0.0.1", "::1"]}


@asynccontextmanager
async def starting(
    port: int, folder: Path = Path("/"), scheme: str = "http", **settings: Any
) -> AsyncIterator[RemoteBackend]:
    said = {"url": f"{scheme}://localhost:{port}/mcp", **HERE, **settings}
    if scheme == "http":
        said["insecurePlainHttp"] = True
    made = remote.backend("crm", Settings.model_validate(said), folder)
    async with made.running():
        yield made


def modern(call_tool: Respond, lists: list[str] | None = None) -> Respond:
    """Greet clients of today's era."""
    names = lists if lists is not None else ["echo"]

    async def respond(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.method == "server/discover":
            about = {"supportedVersions": [MODERN], "capabilities": {"tools": {}}}
            await send(writer, 200, result(asked, about))
        elif asked.method == "tools/list":
            tools = [{"name": name, "inputSchema": {"type": "object"}} for name in names]
            await send(writer, 200, result(asked, {"tools": tools, "resultType": "complete"}))
        elif asked.method == "tools/call":
            await call_tool(asked, writer)
        else:
            await send(writer, 404, error(asked))

    return respond


# Both eras


@pytest.mark.requirement("G1")
@pytest.mark.requirement("T17")
@pytest.mark.parametrize("server_era", [older, modern])
@pytest.mark.parametrize("version", [containers.OLDER, MODERN])
async def test_callers_of_both_eras_reach_servers_of_both(server_era: Any, version: str) -> None:
    async with answering.answering(server_era(echo)) as server, starting(server.port) as made:
        await containers.well(made)
        for _ in range(10):
            assert await text(made, tool("echo", version=version)) == "hello"

        assert made.has_tool("echo")
        assert server.connections <= 3


async def test_lists_of_tools_are_told_from_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[RemoteBackend.__module__], "LIST_SECONDS", 0.05)
    names = ["echo"]
    async with answering.answering(modern(echo, names)) as server, starting(server.port) as made:
        await containers.well(made)
        asked = len(server.of("tools/list"))
        listed = json.loads(await made.answer(call("tools/list", version=MODERN)))
        again = json.loads(await made.answer(call("tools/list")))

        assert [tool["name"] for tool in listed["tools"]] == ["echo"]
        assert again.keys() == {"tools"}
        assert len(server.of("tools/list")) <= asked + 1
        names.append("new")
        await eventually(lambda: made.has_tool("new"))


# Trust


def tls(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*localhost_certificate(folder))
    return context


async def test_a_server_is_believed_by_the_authorities_that_the_settings_name(
    tmp_path: Path,
) -> None:
    context = tls(tmp_path)
    async with answering.answering(modern(echo), tls=context) as server:
        async with starting(server.port, tmp_path, "https", caFile="tls.crt") as made:
            await containers.well(made)
            assert await text(made, tool("echo")) == "hello"
        bundle = (tmp_path / "tls.crt").read_text()
        async with starting(server.port, scheme="https", caBundle=bundle) as made:
            await containers.well(made)
        heard = len(server.asked)

        async with starting(server.port, scheme="https") as made:  # by the public ones
            await eventually(lambda: "cannot be asked" in (made.fault or ""))
        assert len(server.asked) == heard


def test_authorities_that_are_none_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("nothing")
    said = {"url": "https://mcp.example/mcp", "caFile": "ca.crt"}

    with pytest.raises(StartError, match=r"backends\[crm\].remote: caFile ca.crt holds no cert"):
        remote.backend("crm", Settings.model_validate(said), tmp_path)


# Addresses


@pytest.mark.parametrize(
    ("address", "allowed", "permitted"),
    [
        ("93.184.216.34", [], True),
        ("2606:4700::1111", [], True),
        ("10.0.0.1", [], False),
        ("10.0.0.1", ["10.0.0.0/8"], True),
        ("100.64.0.1", [], False),
        ("fd00::1", [], False),
        ("fd00::1", ["fd00::/8"], True),
        ("127.0.0.1", [], False),
        ("127.0.0.1", ["127.0.0.0/8"], False),
        ("127.0.0.1", ["127.0.0.1"], True),
        ("::ffff:127.0.0.1", [], False),
        ("::ffff:10.0.0.1", [], False),
        ("169.254.169.254", ["169.254.0.0/16"], False),
        ("169.254.169.254", ["0.0.0.0/0"], False),
        ("100.100.100.200", ["100.64.0.0/10"], False),
        ("fd00:ec2::254", ["fd00::/8"], False),
        ("fe80::1", ["fe80::/10"], False),
        ("0.0.0.0", [], False),
        ("224.0.0.1", ["0.0.0.0/0"], False),
    ],
)
def test_only_addresses_of_the_internet_and_allowed_ones_are_asked(
    address: str, allowed: list[str], permitted: bool
) -> None:
    assert Addresses(allowed).permits(ip_address(address)) is permitted


async def test_a_name_that_leads_to_this_machine_is_not_asked() -> None:
    async with answering.answering(modern(echo)) as server:
        async with starting(server.port, addresses=["10.0.0.0/8"]) as made:
            await eventually(lambda: "not of the Internet" in (made.fault or ""))

            assert made.findings[0].reason is Reason.UNREACHABLE
        assert server.connections == 0


# Credentials


async def test_a_credential_is_sent_with_every_request_and_read_again(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("one\n")
    credential = {"file": "key", "header": "X-API-Key", "scheme": ""}
    async with (
        answering.answering(older(echo)) as server,
        starting(server.port, tmp_path, credential=credential) as made,
    ):
        await containers.well(made)
        await text(made, tool("echo"))
        (tmp_path / "new").write_text("two")
        (tmp_path / "new").rename(tmp_path / "key")
        await text(made, tool("echo"))

    sent = [each.headers.get("x-api-key") for each in server.asked]
    assert None not in sent
    assert [each.headers["x-api-key"] for each in server.of("tools/call")] == ["one", "two"]


@pytest.mark.parametrize("content", ["", "a\nb", "\x00", None])
async def test_without_a_credential_nothing_is_sent(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "key").write_text(content)
    async with (
        answering.answering(older(echo)) as server,
        starting(server.port, tmp_path, credential={"file": "key"}) as made,
    ):
        await eventually(lambda: "credential cannot be read" in (made.fault or ""))
    assert server.asked == []


class Issuer:
    """Answers forms."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.answer: tuple[int, Any] = (200, None)

    async def post(self, _url: str, form: Any, basic: tuple[str, str]) -> tuple[int, Any]:
        self.forms.append({**form, "by": ":".join(basic)})
        status, content = self.answer
        made = {"access_token": f"made-{len(self.forms)}", "expires_in": 300}
        return status, content if content is not None else made


def exchanger(folder: Path, issuer: Issuer, now: list[float]) -> Exchanger:
    (folder / "secret").write_text("s3\n")
    said = {
        "url": "https://mcp.example/mcp",
        "tokenExchange": {
            "url": "https://id.example/token",
            "clientId": "us",
            "clientSecretFile": "secret",
            "audience": "crm",
            "scopes": ["a", "b"],
        },
    }
    settings = Settings.model_validate(said).token_exchange
    assert settings is not None
    return Exchanger(settings, folder, issuer.post, lambda: now[0])


async def test_a_token_is_made_of_the_callers_and_kept_while_it_is_good(tmp_path: Path) -> None:
    issuer, now = Issuer(), [0.0]
    exchange = exchanger(tmp_path, issuer, now)

    first = await asyncio.gather(*(exchange.token("a.b.c") for _ in range(3)))
    own = await exchange.token(None)
    now[0] = 269.0
    kept = await exchange.token("a.b.c")
    now[0] = 271.0
    late = await exchange.token("a.b.c")

    assert (first, own, kept, late) == (["made-1"] * 3, "made-2", "made-1", "made-3")
    assert issuer.forms[0] == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": "a.b.c",
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "audience": "crm",
        "scope": "a b",
        "by": "us:s3",
    }
    assert issuer.forms[1]["grant_type"] == "client_credentials"


@pytest.mark.parametrize(
    ("answer", "retryable"),
    [((400, {"error": "invalid_grant"}), False), ((500, None), True), ((200, {"x": 1}), False)],
)
async def test_no_token_is_an_error_that_repeats_none(
    tmp_path: Path, answer: tuple[int, Any], retryable: bool
) -> None:
    issuer = Issuer()
    issuer.answer = answer

    with pytest.raises(ExchangeError) as failed:
        await exchanger(tmp_path, issuer, [0.0]).token("a.b.c")

    assert failed.value.retryable is retryable
    assert "a.b.c" not in str(failed.value)


def by_token(token: str) -> Call:
    asked = tool("echo", version=MODERN)
    scope: dict[str, Any] = {"headers": [(b"authorization", token.encode())]}
    Request("r").bind(scope)
    asked.scope = scope
    return asked


async def test_each_caller_reaches_the_server_with_a_token_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = Issuer()

    async def post(url: str, form: Any, basic: tuple[str, str], trust: Any) -> tuple[int, Any]:
        assert trust is None
        return await issuer.post(url, form, basic)

    monkeypatch.setattr(remote, "post", post)
    (tmp_path / "secret").write_text("s3")
    exchange = {"url": "https://id.example/t", "clientId": "us", "clientSecretFile": "secret"}
    async with (
        answering.answering(modern(echo)) as server,
        starting(server.port, tmp_path, tokenExchange=exchange) as made,
    ):
        await containers.well(made)
        await made.answer(by_token("Bearer a.b.c"))
        for sent in ("Bearer a-key", "", "Basic a.b.c"):
            with pytest.raises(RpcError, match="the caller's own token"):
                await made.answer(by_token(sent))

    (asked,) = server.of("tools/call")
    tokens = {
        form.get("subject_token"): f"bearer made-{n}" for n, form in enumerate(issuer.forms, 1)
    }
    assert asked.headers["authorization"] == tokens["a.b.c"]


# The breaker


def test_a_breaker_opens_after_failures_in_a_row_and_tries_again() -> None:
    now = [0.0]
    breaker = Breaker(2, 10, lambda: now[0])
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    assert breaker.admits()
    breaker.failed()

    assert [breaker.is_open, breaker.admits(), breaker.wait_seconds] == [True, False, 10]
    now[0] = 10.0
    assert [breaker.admits(), breaker.admits()] == [True, False]
    breaker.failed()
    now[0] = 20.0
    assert breaker.admits()
    breaker.succeeded()
    assert not breaker.is_open


@pytest.mark.requirement("W3")
@pytest.mark.requirement("T17")
async def test_a_server_that_fails_is_left_alone_and_found_again() -> None:
    bad = True

    async def fail(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if bad:
            await send(writer, 502, b"<html>", "text/html")
        else:
            await echo(asked, writer)

    async with (
        answering.answering(modern(fail)) as server,
        starting(server.port, breaker={"failures": 2, "open": "300ms"}) as made,
    ):
        await containers.well(made)
        for _ in range(2):
            with pytest.raises(RpcError, match="502"):
                await made.answer(tool("echo"))
        asked = len(server.of("tools/call"))

        with pytest.raises(RpcError) as failed:
            await made.answer(tool("echo"))

        assert failed.value.data["code"] == "SERVER_UNAVAILABLE"
        assert failed.value.data["retryable"]
        assert len(server.of("tools/call")) == asked
        assert "left alone" in (made.fault or "")
        bad = False
        await containers.well(made)  # a probe finds it
        assert await text(made, tool("echo")) == "hello"


async def test_errors_of_the_server_itself_do_not_open_the_breaker() -> None:
    async def refuse(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await send(writer, 400, error(asked, -32602))

    async with (
        answering.answering(modern(refuse)) as server,
        starting(server.port, breaker={"failures": 2}) as made,
    ):
        await containers.well(made)
        for _ in range(5):
            with pytest.raises(RpcError):
                await made.answer(tool("echo"))

        assert made.fault is None


async def test_a_server_that_goes_away_unasked_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("breakwater_runtime.backends.remote.transport.QUIET_SECONDS", 0.1)
    async with answering.answering(modern(echo)) as server:
        port = server.port
        stack = starting(port, breaker={"failures": 1, "open": "300ms"})
        made = await stack.__aenter__()
        await containers.well(made)
    await eventually(lambda: made.fault is not None)

    async with answering.answering(modern(echo), port=port):
        await containers.well(made)
        assert await text(made, tool("echo")) == "hello"
        await stack.__aexit__(None, None, None)


async def test_a_call_that_takes_too_long_is_cancelled() -> None:
    async def hang(_: Asked, writer: asyncio.StreamWriter) -> None:
        await writer.drain()
        await asyncio.sleep(60)

    async with (
        answering.answering(modern(hang)) as server,
        starting(server.port, call="200ms") as made,
    ):
        await containers.well(made)
        with pytest.raises(RpcError) as failed:
            await made.answer(tool("echo"))

    assert failed.value.data["code"] == "TIMEOUT"


# Settings


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"url": "http://mcp.example/mcp"}, "is http"),
        ({"url": "https://user:pw@mcp.example/mcp"}, "write a URL without"),
        ({"url": "https://mcp.example/mcp?x=1"}, "write a URL without"),
        ({"url": "ftp://mcp.example"}, "write a URL without"),
        ({"url": "https://a.b/", "caBundle": BUNDLE, "caFile": "y"}, "not both"),
        ({"url": "https://a.b/", "caBundle": "LS0tLS1CRUdJTiBDRVJU"}, "write certificates in PEM"),
        (
            {
                "url": "https://a.b/",
                "credential": {"file": "x"},
                "tokenExchange": {"url": "https://i.d/t", "clientId": "a", "clientSecretFile": "b"},
            },
            "write a credential",
        ),
        ({"url": "https://a.b/", "credential": {"file": "x", "header": "a b"}}, "header's name"),
    ],
)
def test_settings_that_mean_nothing_are_refused(said: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        Settings.model_validate(said)
