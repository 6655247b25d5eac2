"""The checks for weaknesses find some: in dependencies, and in our own code."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

WEAK = "idna"
ADVISORY = {
    "id": "PYSEC-2026-1",
    "modified": "2026-11-01T00:00:00Z",
    "published": "2026-11-01T00:00:00Z",
    "summary": "made up by a test",
    "affected": [
        {
            "package": {"name": WEAK, "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99999"}]}],
        }
    ],
}


class Database(BaseHTTPRequestHandler):
    """Knows one advisory."""

    weak: str = ""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        known = {"vulns": [ADVISORY]} if asked["package"]["name"] == type(self).weak else {}
        content = json.dumps(known).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def database() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Database) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


@pytest.mark.process
@pytest.mark.requirement("K9")
@pytest.mark.parametrize(("weak", "code"), [(WEAK, 1), ("", 0)])
def test_locks_are_held_to_the_advisories(
    database: str, weak: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Database, "weak", weak)

    lock = tmp_path / "lock.txt"
    lock.write_text(f"{WEAK}==3.20 --hash=sha256:{'0' * 64}\n")
    locks = ["requirements/uv.txt", str(lock)]
    command = [sys.executable, "-m", "dev.audit", "--service-url", database, *locks]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == code, done.stdout + done.stderr
    assert ("PYSEC-2026-1" in done.stdout) is bool(weak)


WEAKNESSES = {
    "S102": "exec(input())\n",
    "S105": 'password = "hunter2hunter2"\n',
    "S301": "import pickle\n\npickle.loads(b'')\n",
    "S311": "import random\n\nkey = random.random()\n",
    "S324": "import hashlib\n\nhashlib.md5(b'')\n",
    "S501": "import httpx\n\nhttpx.get('https://x', verify=False)\n",
    "S506": "import yaml\n\nyaml.load('', Loader=yaml.Loader)\n",
    "S602": "import subprocess\n\nsubprocess.run('ls ' + input(), shell=True)\n",
    "TID251": "from datetime import datetime\n\ndatetime.now()\n",
}


@pytest.mark.requirement("K9")
@pytest.mark.parametrize("package", ["contract/breakwater_contract", "runtime/breakwater_runtime"])
def test_the_linter_refuses_what_attackers_like(package: str) -> None:
    found = {}
    for rule, code in WEAKNESSES.items():
        path = f"{package}/made_up.py"
        command = [*(sys.executable, "-m", "ruff", "check"), "--output-format", "json", "-"]
        done = subprocess.run(
            [*command, "--stdin-filename", path],
            cwd=ROOT,
            input=f'"""Made up."""\n\n{code}',
            capture_output=True,
            text=True,
            check=False,
        )
        found[rule] = {one["code"] for one in json.loads(done.stdout)}

    assert all(rule in codes for rule, codes in found.items()), found
