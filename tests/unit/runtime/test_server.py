import socket

import pytest

from breakwater_runtime.calls import StartError
from breakwater_runtime.http.server import listen


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
