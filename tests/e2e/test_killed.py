"""Parts of a pod with two servers are killed, and its kubelet: what is left, and what goes on."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.support.cluster import eventually
from tests.support.installation import READY_SECONDS, Installation, manifests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OLDER = "2025-11-25"
NAME = "desk"
RUNTIME = "breakwater-runtime"
HELPER = "breakwater-child"
SESSION_HEADER = "mcp-session-id"
ASKED_ANEW_SECONDS = 20.0


@dataclass
class Desk:
    """The example of a gateway: a command, and a command that listens, in one pod."""

    installation: Installation
    team: str

    def pod(self) -> dict[str, Any]:
        """Read its only pod that is not about to end; another one follows a moment later."""
        selector = ("-l", f"breakwater.dev/server={NAME}")
        stays: list[dict[str, Any]] = []

        def is_one() -> bool:
            found = self.installation.cluster.get("pods", "-n", self.team, *selector)["items"]
            stays[:] = [each for each in found if "deletionTimestamp" not in each["metadata"]]
            return len(stays) == 1

        eventually(is_one, "there is one pod", seconds=READY_SECONDS)
        return stays[0]

    def ready_since(self) -> str:
        """Say since when the pod is in the Service without a break; empty: it is not."""
        conditions = self.pod()["status"].get("conditions", [])
        since = [
            str(each["lastTransitionTime"])
            for each in conditions
            if (each["type"], each["status"]) == ("Ready", "True")
        ]
        return since[0] if since else ""

    def restarts(self) -> dict[str, int]:
        """Count how often each container was started again."""
        status = self.pod()["status"]
        both = (*status["containerStatuses"], *status["initContainerStatuses"])
        return {each["name"]: each["restartCount"] for each in both}

    def processes(self) -> dict[int, str]:
        """Find its processes, and their command lines, on this machine: it is the node."""
        return processes(self.pod()["metadata"]["name"])

    def matching(self, *words: str) -> set[int]:
        """Name those whose command lines have these words."""
        return {
            pid
            for pid, command in self.processes().items()
            if all(word in command for word in words)
        }

    def children(self) -> set[int]:
        """Name the children of the command that speaks over its standard streams."""
        return {pid for pid in self.matching("notes.main") if not self._is_helper_or_listens(pid)}

    def listening(self) -> int:
        """Name the command that listens."""
        (pid,) = [pid for pid in self.matching("--port 8000") if not is_helper(pid)]
        return pid

    def _is_helper_or_listens(self, pid: int) -> bool:
        return is_helper(pid) or "--port 8000" in command_line(pid)

    def well(self) -> bool:
        """Say whether both servers answer."""
        address = self.pod()["status"].get("podIP")
        try:
            return httpx2.get(f"http://{address}:9464/health", timeout=10).status_code == 200
        except httpx2.TransportError:
            return False

    def wait_well(self) -> None:
        """Wait until both servers answer, and the pod is in the Service."""
        eventually(self.well, "both servers answer", seconds=READY_SECONDS)
        eventually(self.ready_since, "the pod is ready", seconds=READY_SECONDS)
        self.installation.wait_reached(self.team, NAME)


def processes(pod: str) -> dict[int, str]:
    """Find the processes of a pod by the host name in their environments."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"HOSTNAME={pod}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = command_line(int(entry.name))
        except OSError:
            continue
    return found


def command_line(pid: int) -> str:
    """Read a command line; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def is_helper(pid: int) -> bool:
    """Say whether it is the helper, or the keeper of one of its children."""
    return HELPER in command_line(pid).split(" ")[0]


@dataclass
class Session:
    """An older client's session, kept through whatever happens."""

    url: str
    key: str
    id: str = ""
    answers: list[int] = field(default_factory=list)

    def begin(self) -> None:
        """Greet; whoever could be asked gets a session."""
        said = {
            "protocolVersion": OLDER,
            "capabilities": {"sampling": {}},
            "clientInfo": {"name": "tests", "version": "1"},
        }
        answer = self.post({"id": 0, "method": "initialize", "params": said})
        assert answer.status_code == 200, answer.text
        self.id = answer.headers[SESSION_HEADER]
        assert self.post({"method": "notifications/initialized"}).status_code == 202

    def call(self, tool: str, **arguments: Any) -> Any:
        """Call a tool, and read what it says."""
        answer = self.post(
            {"id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        )
        assert answer.status_code == 200, answer.text
        lines = [line for line in answer.text.splitlines() if line.startswith("data: {")]
        message = json.loads(lines[-1].removeprefix("data: ") if lines else answer.text)
        assert "result" in message, message
        return json.loads(message["result"]["content"][0]["text"])

    def post(self, message: dict[str, Any]) -> httpx2.Response:
        """Send a message in the session."""
        body = {"jsonrpc": "2.0", **message}
        return httpx2.post(self.url, headers=self._headers, json=body, timeout=READY_SECONDS)

    def end(self) -> None:
        """Say that it is over."""
        answer = httpx2.delete(self.url, headers=self._headers, timeout=READY_SECONDS)
        assert answer.status_code in {200, 204}

    @property
    def _headers(self) -> dict[str, str]:
        given = {"x-api-key": self.key, "accept": "application/json, text/event-stream"}
        if not self.id:
            return given
        return {**given, SESSION_HEADER: self.id, "mcp-protocol-version": OLDER}


@pytest.fixture(scope="module")
def desk(installation: Installation) -> Iterator[Desk]:
    """Serve the example in one pod."""
    (manifest,) = manifests("examples/gateway.yaml")
    manifest["spec"] |= {"replicas": 1, "limits": {"sessions": {"drain": "2m"}}}
    for backend in manifest["spec"]["backends"]:
        backend["container"]["image"] = installation.images["notes-server"]["ref"]
    with installation.team("killed") as team:
        installation.apply(team, manifest)
        installation.wait_ready(team, NAME)
        made = Desk(installation, team)
        made.wait_well()
        yield made


@pytest.fixture
def session(desk: Desk) -> Session:
    """Begin a session with a child of its own, and notes in it."""
    url = f"{desk.installation.base_url(desk.team, NAME)}/mcp"
    begun = Session(url, desk.installation.key(desk.team, NAME))
    begun.begin()
    begun.call("notes_keep", text="first")
    return begun


@pytest.mark.requirement("A5", "K2")
def test_sessions_and_children_go_on_while_the_kubelet_is_away_and_after(
    desk: Desk, session: Session
) -> None:
    before, since = desk.processes(), desk.ready_since()
    assert since
    kept = session.call("notes_keep", text="before")
    cluster = desk.installation.cluster.cluster

    cluster.kill("kubelet")
    try:
        during = session.call("notes_keep", text="during")
    finally:
        cluster.up()
    # A kubelet that starts takes nothing with a startup probe for started until it has asked once;
    # until then the pod may be in no Service.
    wait_until(lambda: desk.ready_since() not in {"", since}, at_most=ASKED_ANEW_SECONDS)
    desk.wait_well()
    after = session.call("notes_keep", text="after")
    later = session.call("notes_keep", text="later")

    assert (during, after, later) == (kept + 1, kept + 2, kept + 3)
    assert desk.processes() == before
    assert not any(desk.restarts().values())


@pytest.mark.requirement("A5", "G6")
def test_a_command_that_listens_is_started_again_in_a_pod_that_stays_in_service(
    desk: Desk, session: Session
) -> None:
    since, killed = desk.ready_since(), desk.listening()

    os.kill(killed, signal.SIGKILL)

    eventually(lambda: killed not in desk.processes(), "the killed command is gone")
    assert session.call("notes_keep", text="the other one is served") > 1
    desk.wait_well()
    assert session.call("board_keep", text="back") == 1
    assert desk.listening() != killed
    assert not any(desk.restarts().values())
    assert desk.ready_since() == since


@pytest.mark.requirement("A5")
def test_a_helper_that_is_killed_takes_its_children_along_and_comes_back(
    desk: Desk, session: Session
) -> None:
    socket, children = _socket(desk), desk.children()
    made, restarts = socket.stat().st_ctime_ns, desk.restarts()
    (helper,) = [
        pid
        for pid in desk.matching(HELPER, "notes.main")
        if is_helper(pid) and not _is_keeper(pid) and "--port" not in command_line(pid)
    ]

    os.kill(helper, signal.SIGKILL)

    eventually(lambda: not children & set(desk.processes()), "no child of the helper is left")
    eventually(
        lambda: desk.restarts()["backend-notes"] == restarts["backend-notes"] + 1,
        "its container is started again",
        seconds=READY_SECONDS,
    )
    desk.wait_well()
    assert socket.stat().st_ctime_ns != made
    assert session.call("notes_keep", text="into a new child") == 1


@pytest.mark.requirement("A5", "K2")
def test_a_runtime_that_is_killed_leaves_no_child_and_its_sessions_begin_anew(
    desk: Desk, session: Session
) -> None:
    children, restarts = desk.children(), desk.restarts()
    (runtime,) = desk.matching(RUNTIME)
    listening = desk.listening()

    os.kill(runtime, signal.SIGKILL)

    eventually(lambda: not children & set(desk.processes()), "no child of the runtime is left")
    eventually(
        lambda: sum(desk.restarts().values()) == sum(restarts.values()) + 1,
        "the runtime's container is started again, and no other",
        seconds=READY_SECONDS,
    )
    desk.wait_well()
    assert children
    assert listening not in desk.processes()
    assert session.post({"id": 2, "method": "tools/list"}).status_code == 404

    session.id = ""
    session.begin()
    assert session.call("notes_keep", text="first again") == 1
    session.end()  # a pod that is deleted would wait for it
    assert desk.installation.condition(desk.team, NAME, "Ready")["status"] == "True"


@pytest.mark.requirement("A5", "K2", "K5")
def test_a_pod_that_is_deleted_serves_its_session_and_leaves_nothing(
    desk: Desk, session: Session
) -> None:
    pod, socket = desk.pod()["metadata"], _socket(desk)
    kept = session.call("notes_keep", text="before")
    assert socket.is_socket()

    delete = ("delete", "pod", "-n", desk.team, pod["name"], "--wait=false")
    desk.installation.cluster.kubectl(*delete)
    desk.wait_well()  # the new one

    assert desk.pod()["metadata"]["uid"] != pod["uid"]
    assert session.call("notes_keep", text="passed on to the old pod") == kept + 1
    session.end()
    eventually(
        lambda: not processes(pod["name"]), "no process of the pod is left", seconds=READY_SECONDS
    )
    eventually(lambda: not socket.exists(), "no socket of the pod is left", seconds=READY_SECONDS)
    assert session.post({"id": 2, "method": "tools/list"}).status_code == 404


def wait_until(true: Callable[[], bool], at_most: float) -> None:
    """Wait until something is so, or will not be."""
    end = time.monotonic() + at_most
    while not true() and time.monotonic() < end:
        time.sleep(0.2)


def _socket(desk: Desk) -> Path:
    uid = desk.pod()["metadata"]["uid"]
    return desk.installation.cluster.cluster.volume(uid, "backend-notes-socket") / "child"


def _is_keeper(pid: int) -> bool:
    """Say whether it was forked by a helper."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    return is_helper(int(stat.rpartition(")")[2].split()[1]))
