"""How the operator's process starts, and refuses to."""

import itertools
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from breakwater_operator.main import Delays, run

STARTED = """
import gc, sys
from breakwater_operator import start

during_imports = 0

def collected(phase, _):
    global during_imports
    main = sys.modules.get("breakwater_operator.main")
    during_imports += phase == "start" and not hasattr(main, "run")

gc.callbacks.append(collected)
start.run()
print(during_imports, gc.isenabled())
"""


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Take back what a process may do to logging, and a test may not."""
    root, quiet = logging.getLogger(), logging.getLogger("asyncio")
    before = (root.handlers[:], root.level, quiet.handlers[:], quiet.propagate)
    yield
    root.handlers[:], root.level, quiet.handlers[:], quiet.propagate = before
    logging.getLogger("kopf.objects").setLevel(logging.NOTSET)


def test_a_missing_file_is_told_and_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["--config", str(tmp_path / "none.yaml")])

    assert code == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("", ["has no settings"], id="empty"),
        pytest.param("a: [", ["line 1: is not YAML"], id="not-yaml"),
        pytest.param("a: !!int two", ["line 1: is not YAML: 'two'"], id="not-what-its-tag-says"),
        pytest.param("images: &a {runtime: *a}", ["nested deeper"], id="in-itself"),
        pytest.param(
            "{namespace: UPPER, images: {}, nonsense: 1}",
            ["namespace", "images.runtime", "nonsense"],
            id="every-fault",
        ),
    ],
)
def test_a_wrong_file_is_told_with_every_fault_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, words: list[str]
) -> None:
    config = tmp_path / "operator.yaml"
    config.write_text(content)

    code = run(["--config", str(config)])

    said = capsys.readouterr().err
    assert code == 2
    assert [word for word in words if word not in said] == []
    assert "Traceback" not in said


def test_a_kubeconfig_that_is_not_there_is_told_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "operator.yaml"
    config.write_text("{namespace: system, images: {runtime: 'r:1'}}")

    code = run(["--config", str(config), "--kubeconfig", str(tmp_path / "none")])

    assert code == 1
    assert "--kubeconfig" in capsys.readouterr().err


class Stranger(BaseHTTPRequestHandler):
    """A server that is no API server."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_server_that_is_no_api_server_is_told_without_a_traceback(tmp_path: Path) -> None:
    config, kubeconfig = tmp_path / "operator.yaml", tmp_path / "kubeconfig"
    config.write_text("{namespace: system, images: {runtime: 'r:1'}}")
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = f"http://127.0.0.1:{server.server_port}"
        kubeconfig.write_text(
            f"{{current-context: a, contexts: [{{name: a, context: {{cluster: a, user: a}}}}], "
            f"clusters: [{{name: a, cluster: {{server: '{where}'}}}}], "
            "users: [{name: a, user: {}}]}"
        )

        options = ["--config", str(config), "--kubeconfig", str(kubeconfig), "--http-port", "0"]
        program = "import sys; from breakwater_operator.start import run; sys.exit(run())"
        command = [sys.executable, "-c", program, *options]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        server.shutdown()

    *logged, said = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert said.startswith("not the answer of a Kubernetes API server: 404, message='Not Found'")
    assert where in said
    assert [line for line in logged if not line.startswith("{")] == []


def test_retries_of_the_watch_never_end_and_stay_below_half_a_minute() -> None:
    delays = list(itertools.islice(Delays(), 100))

    assert max(delays) <= 30
    assert delays[0] <= 1
    assert min(delays[10:]) >= 15


def test_no_garbage_is_looked_for_while_the_process_imports(tmp_path: Path) -> None:
    config = tmp_path / "operator.yaml"
    config.write_text("{namespace: system, images: {runtime: 'r:1'}}")
    options = ["--config", str(config), "--kubeconfig", str(tmp_path / "none")]

    ended = subprocess.run(
        [sys.executable, "-c", STARTED, *options], capture_output=True, text=True, timeout=120
    )

    assert "--kubeconfig" in ended.stderr
    assert ended.stdout.split() == ["0", "True"]
