"""Clusters for tests: one of each size per run, shared by all workers, gone at the end.

`BREAKWATER_CLUSTER_KEEP=1` keeps them, with what the tests left in them, for the next run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dev.cluster import build, files, images
from dev.cluster.local import LocalCluster
from dev.cluster.provider import Capabilities, Size
from dev.cluster.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FAKE_NODES = 2
PROBE_IMAGE = "breakwater.local/probe:1"
"""An image with one program, that serves, resolves, gets and writes (dev/cluster/go/probe)."""

LOOK_SECONDS = 1.0
"""How much of its time a wait gives away from one look to the next at most: where the machine stood
still for longer than that, so did whatever is waited for."""

KINDS_SECONDS = 90.0
"""How long Kubernetes' garbage collector and its quota controller may take until they turn to
something: both look for new kinds every 30 seconds, and rest for up to 30 more until those are
listed. Kinds come and go in tests."""

_ROOT = Path(__file__).parents[2]
_CHECKOUT = hashlib.sha256(str(_ROOT).encode()).hexdigest()[:6]
_RUNS_MAX = 4
"""How many runs of one checkout may use clusters at once."""
_KEEP = os.environ.get("BREAKWATER_CLUSTER_KEEP") == "1"  # noqa: TID251  tests have no main
_SHARED = pytest.StashKey[Path]()
_PREFIX = pytest.StashKey[str]()
_LOCK = pytest.StashKey[contextlib.ExitStack]()


@dataclass(frozen=True)
class RunningCluster:
    """A cluster that is up, and how a test talks to it."""

    cluster: LocalCluster

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.cluster.kubeconfig

    @property
    def capabilities(self) -> Capabilities:
        """What may be counted on."""
        return self.cluster.capabilities

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl and return what it printed; a failure shows what it complained about."""
        return self._run(self.cluster.tools / "kubectl", arguments, stdin, check=check)

    def helm(self, *arguments: str, check: bool = True) -> str:
        """Run Helm likewise."""
        return self._run(self.cluster.program(build.HELM) / "helm", arguments, None, check=check)

    def _run(
        self, program: Path, arguments: Sequence[str], stdin: str | None, *, check: bool
    ) -> str:
        command = [str(program), "--kubeconfig", str(self.kubeconfig), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if check and done.returncode:
            said = f"{program.name} {' '.join(arguments)}: {done.stderr.strip()}"
            pytest.fail(said, pytrace=False)
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """Read objects."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Apply manifests."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def load(self, *sources: str) -> None:
        """Make images usable by pods."""
        self.cluster.load(sources)

    def load_probe(self) -> None:
        """Make the probe image usable by pods."""
        program = self.cluster.program(build.PROBE) / "probe"
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "probe.tar"
            images.write_single_program_archive(archive, program, PROBE_IMAGE)
            self.load(str(archive))


def eventually(true: Callable[[], object], what: str, *, seconds: float = 30) -> None:
    """Wait until something is true; what it is stands in the failure."""
    left, last = seconds, time.monotonic()
    while not true():
        if left < 0:
            pytest.fail(f"not within {seconds:g} s: {what}", pytrace=False)
        time.sleep(0.1)
        now = time.monotonic()
        left -= min(now - last, LOOK_SECONDS)
        last = now


def wait_for_account(cluster: RunningCluster, namespace: str) -> None:
    """Wait until pods can be made in a new namespace: the account that they run as comes later."""
    account = ("get", "serviceaccount", "default", "-n", namespace, "--ignore-not-found")
    eventually(lambda: cluster.kubectl(*account), "pods have an account")


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> RunningCluster:
    """A control plane with fake nodes: objects are real, pods become Ready and run nowhere."""
    return _shared(request.config, Size.CONTROL_PLANE, FAKE_NODES)


@pytest.fixture(scope="session")
def node_cluster(request: pytest.FixtureRequest) -> RunningCluster:
    """A cluster with a real node: pods run."""
    return _shared(request.config, Size.NODE, 0)


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> Iterator[str]:
    """A new namespace in whichever of the clusters the test asks for, gone afterwards."""
    chosen = {"control_plane", "node_cluster"} & set(request.fixturenames)
    cluster: RunningCluster = request.getfixturevalue(chosen.pop())
    name = f"test-{uuid.uuid4().hex[:8]}"  # noqa: TID251  it has to be new, not known
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false", check=False)


def _shared(config: pytest.Config, size: Size, fake_nodes: int) -> RunningCluster:
    """Bring the cluster up, unless a worker of this run has."""
    cluster = LocalCluster(
        Settings.from_environment(),
        f"{config.stash[_PREFIX]}-{size}",
        size=size,
        fake_nodes=fake_nodes,
    )
    folder = config.stash[_SHARED]
    with files.locked(folder / f"{cluster.name}.lock"):
        used = folder / cluster.name
        if not used.exists():
            if not _KEEP:
                # A killed run may have left one, with anything in it.
                cluster.down()
            cluster.up()
            used.touch()
    return RunningCluster(cluster)


def pytest_configure(config: pytest.Config) -> None:
    """Agree on the clusters' names, and on a folder to note which of them are up."""
    given: dict[str, str] | None = getattr(config, "workerinput", None)
    if given:
        config.stash[_SHARED] = Path(given["clusters"])
        config.stash[_PREFIX] = given["clusters_prefix"]
    else:
        config.stash[_SHARED] = Path(tempfile.mkdtemp(prefix="breakwater-test-clusters-"))
        config.stash[_LOCK] = contextlib.ExitStack()
        config.stash[_PREFIX] = _free_prefix(config.stash[_LOCK])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker what was agreed on."""
    node.workerinput["clusters"] = str(node.config.stash[_SHARED])
    node.workerinput["clusters_prefix"] = node.config.stash[_PREFIX]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take down what the workers brought up, once all of them are done."""
    if _LOCK not in config.stash:
        return
    with config.stash[_LOCK]:
        folder = config.stash[_SHARED]
        _take_down([path.name for path in folder.iterdir() if not path.suffix])
        shutil.rmtree(folder)


def _free_prefix(held: contextlib.ExitStack) -> str:
    """Choose names that no other run uses now, and hold them until the end of this one.

    The names are few, so that what a killed run left behind is found and removed by a later one.
    """
    clusters = Settings.from_environment().clusters
    for number in range(_RUNS_MAX):
        prefix = f"test-{_CHECKOUT}{number}"
        with contextlib.suppress(BlockingIOError):
            held.enter_context(files.locked(clusters / f".{prefix}.run", waiting=_refuse))
            return prefix
    pytest.exit(f"{_RUNS_MAX} test runs of {_ROOT} are under way already", returncode=2)


def _refuse() -> None:
    raise BlockingIOError


def _take_down(names: Sequence[str]) -> None:
    for name in names if not _KEEP else []:
        LocalCluster(Settings.from_environment(), name).down()
