import socket

import pytest
from starlette.types import Receive, Scope, Send

from breakwater_runtime.calls import StartError
from breakwater_runtime.http.server import listen
from tests.unit.runtime.wire import BOUND_SECONDS, GET, answer, serving


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_is_taken_is_named(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(StartError) as refused:
            listen(host, port, "listen.publicPort")

    assert str(refused.value) == f"listen.publicPort: {host} port {port}: Address already in use"


def test_an_address_of_somebody_else_is_named() -> None:
    with pytest.raises(
        StartError, match=r"listen.publicPort: 203.0.113.1 port 8080: Cannot assign"
    ):
        listen("203.0.113.1", 8080, "listen.publicPort")


async def say_who(scope: Scope, receive: Receive, send: Send) -> None:
    del receive
    body = scope["client"][0].encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_all_addresses_are_those_of_both_families_and_each_client_is_known_by_its_own(
    address: str,
) -> None:
    with (
        serving(say_who, host="::") as server,
        socket.create_connection((address, server.port), BOUND_SECONDS) as client,
    ):
        client.sendall(GET)
        said = answer(client).body

    assert said == address.encode()


def test_a_single_address_of_ipv6_is_no_other() -> None:
    with serving(say_who, host="::1") as server, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), BOUND_SECONDS)


def test_a_machine_without_ipv6_is_served_by_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)

    with listen("::", 0, "listen.publicPort") as listener:
        assert (listener.family, listener.getsockname()[0]) == (socket.AF_INET, "0.0.0.0")
