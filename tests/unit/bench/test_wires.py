import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from bench import wires
from bench.wrk import ID

CALL = 1_000_000_017


@dataclass(frozen=True)
class Target:
    port: int = 8080
    headers: dict[str, str] = field(default_factory=lambda: {"X-API-Key": "k"})


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Stand in for a server: the sessions that it gives, one after the other."""
    given: list[str | None] = [f"s{number}" for number in range(wires.SESSIONS)]
    monkeypatch.setattr(wires, "open_session", lambda _: given.pop(0))
    return given


@pytest.mark.usefixtures("sessions")
@pytest.mark.parametrize("make", [wires.modern, wires.older])
def test_a_request_is_as_long_as_it_says_once_the_id_is_in(
    make: Callable[[Target, str], tuple[str, ...]],
) -> None:
    head, _, body = make(Target(), "echo")[0].replace(ID, str(CALL)).partition("\r\n\r\n")

    assert f"Content-Length: {len(body)}" in head.splitlines()
    assert "X-API-Key: k" in head.splitlines()
    message = json.loads(body)
    assert message["id"] == CALL
    assert message["params"]["arguments"] == {"text": f"number{CALL}"}


def test_older_clients_take_turns_with_their_sessions(sessions: list[str | None]) -> None:
    requests = wires.older(Target(), "echo")

    assert not sessions
    assert len(set(requests)) == wires.SESSIONS
    assert "Mcp-Session-Id: s0\r\n" in requests[0]


def test_where_there_are_no_sessions_one_request_is_enough(sessions: list[str | None]) -> None:
    sessions[:] = [None] * wires.SESSIONS

    (request,) = wires.older(Target(), "echo")

    assert "Mcp-Session-Id" not in request
