"""What the operator's process loads when it starts."""

import subprocess
import sys

import pytest

LOADED = "import sys, breakwater_operator.main; print(*sys.modules)"


@pytest.mark.parametrize("unused", ["requests", "urllib3", "oauthlib", "kubernetes.dynamic"])
def test_the_synchronous_half_of_the_client_is_not_loaded(unused: str) -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, timeout=120
    ).stdout.split()

    assert "kubernetes.aio.client.rest" in loaded
    assert unused not in loaded
