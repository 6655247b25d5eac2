"""Every endpoint and era, asked with credentials that are not good."""

import asyncio
import base64
import json
from pathlib import Path

import pytest

from breakwater_contract.names import MCP_PATH, MESSAGES_PATH, RPC_PATH
from tests.support.oauth import OAuthServer
from tests.support.rig.doors import DOORS
from tests.support.rig.line import Answer, dial
from tests.support.rig.target import EXPIRED_KEY, KEY, Target, attacked

pytestmark = [pytest.mark.process, pytest.mark.requirement("A1", "A2", "T8", "K9", "T23")]

PLACE = "the-place-of-the-credential"
WRONG = "wrong-key-0123456789abcdef"
JSON_RPC = {MCP_PATH, MESSAGES_PATH, RPC_PATH}


def bad() -> dict[str, list[str]]:
    """Name credentials, as the lines in which they come."""
    token = OAuthServer("https://id.example", "https://mcp.example").token("ec")
    unsigned = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "none"}, {"sub": "alice", "iss": "https://id.example"}, {})
    )
    basic = base64.b64encode(f"alice:{KEY}".encode()).decode()
    return {
        "none": [],
        "empty": ["x-api-key: "],
        "wrong": [f"x-api-key: {WRONG}"],
        "wrong bearer": [f"authorization: Bearer {WRONG}"],
        "expired": [f"x-api-key: {EXPIRED_KEY}"],
        "expired bearer": [f"authorization: Bearer {EXPIRED_KEY}"],
        "cut": [f"x-api-key: {KEY[:-1]}"],
        "longer": [f"x-api-key: {KEY}x"],
        "other case": [f"x-api-key: {KEY.upper()}"],
        "foreign token": [f"authorization: Bearer {token}"],
        "token without a signature": [f"authorization: Bearer {unsigned}"],
        "basic": [f"authorization: Basic {basic}"],
        "another header": [f"cookie: x-api-key={KEY}", f"proxy-authorization: Bearer {KEY}"],
        "good and wrong": [f"x-api-key: {KEY}", f"authorization: Bearer {WRONG}"],
        "good and basic": [f"x-api-key: {KEY}", f"authorization: Basic {basic}"],
        "two keys": [f"x-api-key: {KEY}", f"x-api-key: {WRONG}"],
    }


def with_lines(request: bytes, lines: list[str]) -> bytes:
    """Put lines in the place of the credential."""
    place = f"x-api-key: {PLACE}\r\n".encode()
    assert place in request
    return request.replace(place, "".join(f"{line}\r\n" for line in lines).encode())


async def test_none_is_let_in_none_is_repeated_and_each_is_audited(tmp_path: Path) -> None:
    with attacked(tmp_path) as target:
        asked = 0
        credentials = bad()
        target.log.secrets = {
            line.rpartition(" ")[2] for lines in credentials.values() for line in lines
        } - {""}
        line = await dial(target.port)
        for name, lines in credentials.items():
            for path, make in DOORS.items():
                for request in make(PLACE):
                    answer = await line.ask(with_lines(request, lines))
                    check(answer, path, name, lines)
                    asked += 1
        line.close()
        await asyncio.to_thread(target.until, lambda: audited(target) == asked)
        begun = target.metric("mcp_server_operation_duration_seconds_count")
        target.assert_well()

    assert begun == 0
    assert target.log.audited == asked
    assert not target.log.leaked


def audited(target: Target) -> float:
    return target.metric("mcp_security_events_total", event="authentication.failed")


def check(answer: Answer, path: str, name: str, lines: list[str]) -> None:
    """Hold an answer to the table: 401 with a challenge, in the form of the endpoint."""
    where = (path, name)
    assert answer.status == 401, where
    assert str(answer.header("www-authenticate")).startswith("Bearer"), where
    content = json.loads(answer.body)
    code = content["error"]["data"]["code"] if path in JSON_RPC else content["error"]["code"]
    assert code == "UNAUTHENTICATED", where
    assert answer.header("mcp-session-id") is None
    assert answer.header("ratelimit") is None, "whoever is nobody has no bucket"
    for line in lines:
        _, _, secret = line.rpartition(" ")
        assert not secret or secret.encode() not in answer.head + answer.body, where
