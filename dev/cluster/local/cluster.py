"""A cluster made on this machine, without Docker, from nothing but Go modules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dev.cluster import build, files, prerequisites
from dev.cluster.api import Api
from dev.cluster.local import network, node_images, processes, readiness, state, teardown
from dev.cluster.local.addresses import free_index
from dev.cluster.local.bringup import Bringup
from dev.cluster.local.site import Site, needed
from dev.cluster.progress import Progress
from dev.cluster.provider import FAKE_NODES_MAX, Capabilities, ClusterError, Size, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dev.cluster.settings import Settings


class LocalCluster:
    """One cluster on this machine.

    Args:
        settings: where clusters keep their files.
        name: the cluster's; several may run at once.
        size: how much of a cluster; None keeps what it is, or makes a node.
        fake_nodes: how many nodes to pretend; None keeps what there are, or makes none.
        progress: who is told what goes on.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        *,
        size: Size | None = None,
        fake_nodes: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        if fake_nodes is not None and not 0 <= fake_nodes <= FAKE_NODES_MAX:
            raise ClusterError(f"--fake-nodes: {fake_nodes} is not between 0 and {FAKE_NODES_MAX}")
        self.name = name
        self._settings = settings
        self._layout = state.Layout(settings, name)
        self._size = size
        self._fake_nodes = fake_nodes
        self._progress = progress or Progress()
        self._builder = build.Builder(settings.cache, settings.environment)
        self.seconds: dict[str, float] = {}
        """How long the last `up` took to each milestone, once everything was built."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, complete in itself."""
        return self._layout.kubeconfig

    @property
    def tools(self) -> Path:
        """A folder with `kubectl`, and `helm` once that was used, for PATH."""
        return self._layout.bin

    @property
    def folder(self) -> Path:
        """Where everything of the cluster lies, its logs included."""
        return self._layout.state

    @property
    def pids(self) -> dict[str, int]:
        """The processes of its services that run, by their names."""
        return {name: one.pid for name, one in processes.running(self._layout).items()}

    @property
    def capabilities(self) -> Capabilities:
        """What a test may count on."""
        record = self._recorded()
        return Capabilities(
            node=record.size is Size.NODE,
            enforces_network_policy=False,
            fake_nodes=record.fake_nodes,
        )

    def up(self) -> None:
        """Start whatever of it does not run; nothing changes where everything does."""
        with files.locked(self._layout.lock, waiting=self._say_waiting):
            self._up()

    def load(self, images: Sequence[str]) -> None:
        """Import images into containerd, except those whose content is there."""
        if not self.capabilities.node:
            raise ClusterError(f"cluster {self.name} has no node to load images into")
        with files.locked(self._layout.lock, waiting=self._say_waiting):
            for image in images:
                node_images.load(self._site(self._recorded()), image, self._progress)

    def status(self) -> Status:
        """Say which services run and whether the API server is ready."""
        record = state.load(self._layout)
        if not record:
            details = {"cluster": "there is none of this name; `up` makes one"}
            return Status(name=self.name, provider="local", ready=False, details=details)
        running = processes.running(self._layout)
        details = {
            service: f"pid {running[service].pid}" if service in running else "not running"
            for service in _service_names(record)
        }
        ready = all(service in running for service in details) and _answers(self.kubeconfig)
        facts = {
            "size": str(record.size),
            "fake nodes": str(record.fake_nodes),
            "addresses": str(state.addresses(record).block),
            "kubeconfig": str(self.kubeconfig),
            "logs": str(self._layout.logs),
        }
        return Status(name=self.name, provider="local", ready=ready, details=facts | details)

    def kill(self, service: str) -> None:
        """Kill one of its services, as a crash would; `up` starts it again."""
        running = processes.running(self._layout)
        if service not in running:
            raise ClusterError(
                f"{service} of cluster {self.name} does not run; {sorted(running)} do"
            )
        processes.stop([running[service]])

    def volume(self, pod_uid: str, name: str) -> Path:
        """Say where the node keeps an emptyDir of a pod."""
        return self._layout.kubelet / "pods" / pod_uid / "volumes/kubernetes.io~empty-dir" / name

    def down(self, *, keep_state: bool = False) -> None:
        """Stop everything and remove every trace; with `keep_state` its data stay."""
        with files.locked(self._layout.lock, waiting=self._say_waiting):
            teardown.stop(self._layout)
            if not keep_state:
                teardown.forget(self._layout)

    def program(self, wanted: build.Program) -> Path:
        """The folder of a built program, built now if need be."""
        prerequisites.ensure(Size.CONTROL_PLANE, self._progress)
        missing = self._builder.missing([wanted])
        return self._builder.build(wanted, Progress(len(missing)))

    def _up(self) -> None:
        size, fake_nodes = self._wanted()
        prerequisites.ensure(size, self._progress)
        missing = self._builder.missing(needed(size, fake_nodes))
        building = Progress(len(missing))
        for program in missing:
            self._builder.build(program, building)
        # One cluster at a time, of all on this machine, chooses its addresses and takes them.
        with files.locked(self._settings.run.parent):
            record = state.Record(size=size, fake_nodes=fake_nodes, index=self._index())
            state.save(self._layout, record)
            network.ensure(self._layout, state.addresses(record))
        site = self._site(record)
        self.seconds = Bringup(site, self._progress).run()

    def _wanted(self) -> tuple[Size, int]:
        """Keep what the cluster is, add what is asked for."""
        kept = state.load(self._layout)
        size = self._size or (kept.size if kept else Size.NODE)
        if kept and kept.size is Size.NODE and size is not Size.NODE:
            self._progress.say(f"cluster {self.name} has a node already; it keeps it")
            size = Size.NODE
        default = kept.fake_nodes if kept else 0
        return size, default if self._fake_nodes is None else self._fake_nodes

    def _index(self) -> int:
        """The addresses it has, or free ones."""
        if kept := state.load(self._layout):
            return kept.index
        # What runs without a record is a rest that somebody deleted the files of.
        teardown.stop(self._layout)
        taken = state.taken_indexes(self._settings, but=self.name)
        return free_index(taken, network.routes())

    def _site(self, record: state.Record) -> Site:
        programs = needed(record.size, record.fake_nodes)
        folders = {program.name: self._builder.folder(program) for program in programs}
        return Site(
            layout=self._layout,
            addresses=state.addresses(record),
            record=record,
            folders=folders,
            cni_plugins=prerequisites.cni_plugins() or Path("/opt/cni/bin"),
        )

    def _recorded(self) -> state.Record:
        record = state.load(self._layout)
        if not record:
            raise ClusterError(
                f"there is no cluster {self.name}; make it with "
                f"`python -m dev.cluster up --name {self.name}`"
            )
        return record

    def _say_waiting(self) -> None:
        self._progress.say(f"waiting: another command works on cluster {self.name}")


def _service_names(record: state.Record) -> list[str]:
    names = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "caretaker"]
    if record.size is Size.NODE:
        names += ["containerd", "kubelet", "kube-proxy", "dns", "metrics-server"]
    return names + (["kwok"] if record.fake_nodes else [])


def _answers(kubeconfig: Path) -> bool:
    try:
        with Api(kubeconfig) as api:
            return readiness.api_server(api)
    except (ClusterError, OSError):
        return False
