"""What the operator's process loads when it starts."""

import subprocess
import sys

import pytest

LOADED = "import sys, breakwater_operator.main; print(*sys.modules)"


@pytest.mark.parametrize(
    "unused",
    [
        *("requests", "urllib3", "oauthlib", "kubernetes.dynamic"),
        pytest.param("mcp_types", id="mcp_types: the first handshake loads it"),
    ],
)
def test_what_no_start_needs_is_not_loaded(unused: str) -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, timeout=120
    ).stdout.split()

    assert "kubernetes.aio.client.rest" in loaded
    assert unused not in loaded
