"""Clusters come up from any state, live side by side, and leave nothing behind."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dev.cluster.local import LocalCluster, processes, state
from dev.cluster.provider import Size
from dev.cluster.settings import Settings
from tests.support.cluster import RunningCluster, eventually
from tests.support.traces import traces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]


class Subject:
    """A cluster that a test may treat badly."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.settings = settings
        self.name = name
        self.layout = state.Layout(settings, name)
        self.interface = "none"

    def cluster(self, size: Size | None = None, fake_nodes: int | None = None) -> LocalCluster:
        return LocalCluster(self.settings, self.name, size=size, fake_nodes=fake_nodes)

    def up(self, size: Size | None = None, fake_nodes: int | None = None) -> RunningCluster:
        cluster = self.cluster(size, fake_nodes)
        cluster.up()
        self._note_interface()
        return RunningCluster(cluster)

    def down(self) -> None:
        self._note_interface()
        self.cluster().down()

    def up_killed_when(self, moment: Callable[[], object], size: Size) -> None:
        """Start `up` as a process of its own and kill it at a moment."""
        command = [sys.executable, "-m", "dev.cluster", "up", "--name", self.name]
        variables = {
            **self.settings.environment,
            "XDG_STATE_HOME": str(self.settings.clusters.parents[1]),
        }
        with subprocess.Popen([*command, "--size", size], cwd=ROOT, env=variables) as process:
            end = time.monotonic() + 60
            while not moment():
                assert process.poll() is None, "it ended before the moment came"
                assert time.monotonic() < end, "the moment did not come"
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)

    def traces(self) -> list[str]:
        return traces(self.name, self.layout.state, self.interface)

    def runs(self, service: str) -> bool:
        return service in processes.running(self.layout)

    def _note_interface(self) -> None:
        if record := state.load(self.layout):
            self.interface = state.addresses(record).interface


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The real cache, and a folder for clusters that is this test's own."""
    real = Settings.from_environment()
    return dataclasses.replace(real, clusters=tmp_path / "breakwater" / "clusters")


@pytest.fixture
def subject(settings: Settings, request: pytest.FixtureRequest) -> Iterator[Subject]:
    digest = hashlib.sha256(f"{ROOT}{request.node.nodeid}".encode()).hexdigest()[:8]
    made = Subject(settings, f"test-{digest}")
    yield made
    made.down()


MOMENTS: dict[str, Callable[[Subject], object]] = {
    "it is remembered": lambda s: s.layout.record.exists(),
    "the namespace is made": lambda s: s.layout.namespace_path.exists(),
    "certificates are half written": lambda s: s.layout.pki.with_name(".pki").exists(),
    "etcd starts": lambda s: (s.layout.logs / "etcd.log").exists(),
    "the API server runs": lambda s: s.runs("kube-apiserver"),
    "containerd answers": lambda s: s.layout.containerd_socket.exists(),
    "images are loaded": lambda s: s.layout.images.exists(),
    "the kubelet runs": lambda s: s.runs("kubelet"),
    "DNS runs": lambda s: s.runs("dns"),
}
QUICK = {"the namespace is made", "the kubelet runs"}
SEVERAL = [pytest.param(name, marks=() if name in QUICK else pytest.mark.prove) for name in MOMENTS]


@pytest.mark.parametrize("moment", SEVERAL)
def test_up_killed_at_any_moment_can_be_repeated_or_undone(subject: Subject, moment: str) -> None:
    subject.up_killed_when(lambda: MOMENTS[moment](subject), Size.NODE)
    subject.down()
    left = subject.traces()
    subject.up_killed_when(lambda: MOMENTS[moment](subject), Size.NODE)
    cluster = subject.up(Size.NODE)

    assert left == []
    assert cluster.cluster.status().ready
    subject.down()
    assert subject.traces() == []


def test_two_clusters_run_side_by_side_and_go_one_by_one(
    node_cluster: RunningCluster, subject: Subject
) -> None:
    other = subject.up(Size.CONTROL_PLANE)
    other.kubectl("create", "namespace", "only-here")

    assert other.cluster.status().ready
    assert node_cluster.cluster.status().ready
    assert "only-here" not in node_cluster.kubectl("get", "namespaces", "-o", "name")
    assert subject.traces() != []
    subject.down()
    assert subject.traces() == []
    assert node_cluster.cluster.status().ready


@pytest.mark.prove
def test_clusters_that_start_at_the_same_moment_take_different_addresses(
    settings: Settings, subject: Subject, tmp_path: Path
) -> None:
    # Another state folder: neither can know of the other by its files.
    elsewhere = dataclasses.replace(settings, clusters=tmp_path / "other" / "clusters")
    other = Subject(elsewhere, f"{subject.name}-2")
    try:
        with ThreadPoolExecutor() as pool:
            both = list(pool.map(lambda s: s.up(Size.CONTROL_PLANE), (subject, other)))
        assert all(cluster.cluster.status().ready for cluster in both)
        assert subject.interface != other.interface
    finally:
        other.down()


def test_pods_on_fake_nodes_become_ready_and_claims_are_bound(
    control_plane: RunningCluster, namespace: str
) -> None:
    spec = {
        "containers": [{"name": "any", "image": "breakwater.local/nothing:1"}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    labels = {"app": "many"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "many", "namespace": namespace},
        "spec": {
            "replicas": 100,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
    control_plane.apply(claim, deployment)

    available = ("wait", "--for=condition=Available", "deployment/many", "--timeout=60s")
    control_plane.kubectl("-n", namespace, *available)

    bound = control_plane.get("pvc", "data", "-n", namespace)["status"]["phase"]
    assert bound == "Bound"
    assert control_plane.capabilities.fake_nodes == 2


def test_a_second_up_starts_nothing_and_a_missing_service_comes_back(subject: Subject) -> None:
    subject.up(Size.CONTROL_PLANE)
    before = processes.running(subject.layout)
    subject.up()
    again = processes.running(subject.layout)
    processes.stop([again["kube-scheduler"]])
    subject.up()
    after = processes.running(subject.layout)

    assert before == again
    assert after.keys() == before.keys()
    assert [name for name in after if after[name] != before[name]] == ["kube-scheduler"]


def test_fake_nodes_come_and_go_with_the_number_asked_for(subject: Subject) -> None:
    for wanted in (3, 1):
        cluster = subject.up(Size.CONTROL_PLANE, fake_nodes=wanted)
        assert len(cluster.get("nodes")["items"]) == wanted


def test_a_stopped_cluster_goes_on_where_it_was(subject: Subject) -> None:
    cluster = subject.up(Size.CONTROL_PLANE)
    cluster.kubectl("create", "namespace", "kept")
    cluster.cluster.down(keep_state=True)
    stopped = [trace for trace in subject.traces() if not trace.startswith("file ")]

    again = subject.up()

    assert stopped == []
    assert "namespace/kept" in again.kubectl("get", "namespaces", "-o", "name")


@pytest.mark.prove
def test_a_store_that_the_machine_took_down_with_it_is_begun_anew(subject: Subject) -> None:
    cluster = subject.up(Size.CONTROL_PLANE)
    cluster.kubectl("create", "namespace", "lost")
    cluster.cluster.down(keep_state=True)
    for path in (subject.layout.etcd / "member").rglob("*"):
        if path.is_file():
            path.write_bytes(b"\0" * 4096)

    again = subject.up()

    assert "namespace/lost" not in again.kubectl("get", "namespaces", "-o", "name")
    assert subject.layout.etcd.with_name("etcd.unreadable").is_dir()


@pytest.mark.prove
def test_files_deleted_under_a_running_cluster_do_not_stop_down_or_up(subject: Subject) -> None:
    subject.up(Size.CONTROL_PLANE)
    shutil.rmtree(subject.layout.state)

    again = subject.up(Size.CONTROL_PLANE)

    assert again.cluster.status().ready


@pytest.mark.prove
def test_a_full_disk_is_kept_off_by_shortening_logs(subject: Subject) -> None:
    subject.up(Size.CONTROL_PLANE)
    log = subject.layout.logs / "kube-scheduler.log"
    with log.open("ab") as file:
        file.truncate(21 * 1024 * 1024)

    eventually(lambda: log.stat().st_size < 1024 * 1024, "the log is short", seconds=40)

    assert log.with_name(f"{log.name}.old").stat().st_size > 20 * 1024 * 1024
