"""From the start of the process until it says that it is ready."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from bench.processes import POLL_SECONDS, ROOT, START_SECONDS, check, started

if TYPE_CHECKING:
    from bench.peers import Peer

READY_PATH = "/ready"
IMPORT = """\
import importlib, sys, time
before = time.perf_counter()
importlib.import_module(sys.argv[1])
print(time.perf_counter() - before)
"""


def ready_seconds(peer: Peer, core: int) -> float:
    """Get how long it takes from exec until /ready answers 200."""
    begin = time.perf_counter()
    with started(peer.command, core=core) as (process, log):
        deadline = time.monotonic() + START_SECONDS
        while not is_ready(peer):
            check(process, log, deadline)
            time.sleep(POLL_SECONDS)
        return time.perf_counter() - begin


def import_seconds(module: str, core: int) -> float:
    """Get how long a fresh interpreter takes to import a module and all that it needs."""
    command = ["taskset", "--cpu-list", str(core), sys.executable, "-c", IMPORT, module]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return float(done.stdout)


def is_ready(peer: Peer) -> bool:
    """Say whether a server says that it is ready."""
    connection = http.client.HTTPConnection("127.0.0.1", peer.ready_port or peer.port, timeout=5)
    try:
        connection.request("GET", READY_PATH)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
