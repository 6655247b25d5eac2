"""What a runtime imports before it is ready: it starts often, and each library costs its time."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import children
from tests.support.conformance.fronts import free_ports
from tests.unit.runtime.containers import LEAN

NOT_AT_START = frozenset(
    {
        # What only backends in Python are made of.
        *("mcp", "mcp_types", "uvicorn", "sse_starlette", "httpx2"),
        # What only some settings, and some requests, want.
        *("jsonschema", "redis", "yaml", "grpc", "google"),
        "opentelemetry",
    }
)
IMPORTED = re.compile(r"import time:\s+\d+ \|\s+\d+ \|\s+([\w.]+)")


def packages(said: str) -> set[str]:
    """Name the packages that Python says it imported."""
    return {name.partition(".")[0] for name in IMPORTED.findall(said)}


def test_importing_the_server_imports_nothing_that_may_never_be_used() -> None:
    command = [sys.executable, "-X", "importtime", "-c", "import breakwater_runtime.serve"]

    done = subprocess.run(command, check=True, capture_output=True, text=True)

    found = packages(done.stderr)
    assert "breakwater_runtime" in found
    assert found & NOT_AT_START == set()


@pytest.mark.process
def test_a_runtime_without_a_python_backend_is_ready_without_the_sdk(tmp_path: Path) -> None:
    with running(tmp_path, LEAN, {}) as said:
        found = packages(said())

    assert "breakwater_runtime" in found
    assert found & NOT_AT_START == set()


@pytest.mark.process
def test_what_is_imported_later_takes_no_settings_from_the_environment(tmp_path: Path) -> None:
    environment = {"OTEL_PROPAGATORS": "no-such-propagator"}
    with running(tmp_path, [*LEAN, "repeats"], environment) as said:
        found = packages(said())

    assert {"mcp", "opentelemetry"} <= found


@contextmanager
def running(
    folder: Path, command: Sequence[str], environment: Mapping[str, str]
) -> Iterator[Callable[[], str]]:
    """Run a runtime in front of a command until it is ready; get what Python said it imported."""
    (folder / "keys").mkdir()
    (folder / "keys" / "alice").write_text("alice-key-0123456789\n")
    public, management, internal = free_ports(3)
    with children.helper(folder, command) as helper:
        config = folder / "config.json"
        said = {
            "version": 1,
            "backends": [{"name": "main", "container": {"stdio": {"socket": str(helper.socket)}}}],
            "listen": {
                "host": "127.0.0.1",
                "publicPort": public,
                "managementPort": management,
                "internalPort": internal,
            },
            "live": {"version": 1, "keysDirectory": "keys"},
        }
        config.write_text(json.dumps(said))
        runtime = str(Path(sys.executable).with_name("breakwater-runtime"))
        log = folder / "log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-X", "importtime", runtime, "--config", str(config)],
                env={**os.environ, **environment},  # noqa: TID251 - tests have no main
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=output,
            )
        try:
            children.until(lambda: _is_ready(management), 60)
            yield log.read_text
        finally:
            process.kill()
            process.wait()


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=10) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False
