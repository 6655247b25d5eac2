"""A cluster made on this machine, without Docker, from nothing but Go modules."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from dev.cluster import build, files, prerequisites
from dev.cluster.api import Api
from dev.cluster.local import (
    addons,
    cgroups,
    control_plane,
    mounts,
    network,
    node,
    node_images,
    pki,
    processes,
    readiness,
    state,
    teardown,
)
from dev.cluster.local.addresses import free_index
from dev.cluster.local.fake_nodes import scale
from dev.cluster.local.site import Site, needed
from dev.cluster.local.startup import Startup
from dev.cluster.progress import Progress
from dev.cluster.provider import FAKE_NODES_MAX, Capabilities, ClusterError, Size, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dev.cluster.settings import Settings

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


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
        """How long the last `up` took from starting the first process to each milestone."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, complete in itself."""
        return self._layout.kubeconfig

    @property
    def tools(self) -> Path:
        """A folder with `kubectl`, for PATH."""
        return self._layout.bin

    @property
    def folder(self) -> Path:
        """Where everything of the cluster lies, its logs included."""
        return self._layout.state

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

    def down(self, *, keep_state: bool = False) -> None:
        """Stop everything and remove every trace; with `keep_state` its data stay."""
        with files.locked(self._layout.lock, waiting=self._say_waiting):
            teardown.stop(self._layout)
            if not keep_state:
                teardown.forget(self._layout)

    def program(self, wanted: build.Program) -> Path:
        """The folder of a built program, built now if need be."""
        prerequisites.ensure(Size.CONTROL_PLANE, self._progress, self._settings.environment)
        missing = self._builder.missing([wanted])
        return self._builder.build(wanted, Progress(len(missing)))

    def _up(self) -> None:
        record = self._decide()
        prerequisites.ensure(record.size, self._progress, self._settings.environment)
        missing = self._builder.missing(needed(record))
        building = Progress(len(missing))
        for program in missing:
            self._builder.build(program, building)
        if not state.load(self._layout):
            # What runs without a record is a rest that somebody deleted the files of.
            teardown.stop(self._layout)
        state.save(self._layout, record)
        self._start(self._site(record))

    def _decide(self) -> state.Record:
        """Keep what the cluster is, add what is asked for."""
        kept = state.load(self._layout)
        size = self._size or (kept.size if kept else Size.NODE)
        if kept and kept.size is Size.NODE and size is not Size.NODE:
            self._progress.say(f"cluster {self.name} has a node already; it keeps it")
            size = Size.NODE
        default = kept.fake_nodes if kept else 0
        count = default if self._fake_nodes is None else self._fake_nodes
        if kept:
            index = kept.index
        else:
            taken = state.taken_indexes(self._settings, but=self.name)
            index = free_index(taken, network.routes())
        return state.Record(size=size, fake_nodes=count, index=index)

    def _site(self, record: state.Record) -> Site:
        folders = {program.name: self._builder.folder(program) for program in needed(record)}
        return Site(
            layout=self._layout,
            addresses=state.addresses(record),
            record=record,
            folders=folders,
            cni_plugins=prerequisites.cni_plugins() or Path("/opt/cni/bin"),
        )

    def _start(self, site: Site) -> None:
        startup = Startup(self._layout, self._service_environment(), self._on_death)
        self._prepare(site)
        with Api(self._layout.kubeconfig) as api:
            self._start_control_plane(site, api, startup)
            if site.has_node:
                self._start_node(site, startup)
            if site.record.fake_nodes:
                startup.want(addons.kwok(site))
            scale(api, site)
            startup.wait(
                "the controllers work", lambda: readiness.first_service_account(api), seconds=120
            )
            self.seconds["control-plane"] = startup.seconds
            if site.has_node:
                self._await_node(site, api, startup)
        self._progress.say(f"cluster {self.name} is up: {self._summary(site)}")

    def _start_control_plane(self, site: Site, api: Api, startup: Startup) -> None:
        startup.want(control_plane.etcd(site), control_plane.api_server(site))
        if site.has_node:
            # It needs nobody, and starts while the API server does.
            startup.want(node.containerd(site))
        # The controllers have to wait: they end when they find their own rights missing still.
        startup.wait("the API server is ready", lambda: readiness.api_server(api), seconds=120)
        startup.want(control_plane.controller_manager(site), control_plane.scheduler(site))
        for path, body in addons.manifests(site):
            api.apply(path, body)
        startup.want(control_plane.caretaker(site))

    def _prepare(self, site: Site) -> None:
        """Make what the processes need: files, network, control group."""
        if network.ensure(self._layout, site.addresses):
            # A new namespace has no pods: addresses that were given out before are free.
            shutil.rmtree(self._layout.run / "addresses", ignore_errors=True)
        for folder in (self._layout.run, self._layout.volumes, self._layout.bin):
            folder.mkdir(parents=True, exist_ok=True)
        self._layout.state.chmod(0o711)
        pki.ensure(self._layout, site.addresses)
        pki.write_kubeconfigs(self._layout, site.addresses)
        _link(self._layout.bin / "kubectl", site.folders["kube"] / "kube")
        if site.has_node:
            cgroups.ensure(self._layout)
            # The kubelet makes sockets below its folder, whose paths may not be long.
            mounts.bind(self._layout.kubelet, self._layout.kubelet_root)

    def _start_node(self, site: Site, startup: Startup) -> None:
        startup.wait("containerd answers", lambda: node_images.answers(site), seconds=60)
        node_images.load_pause(site)
        startup.want(node.kubelet(site), node.kube_proxy(site))
        startup.want(addons.dns(site), addons.metrics_server(site))

    def _await_node(self, site: Site, api: Api, startup: Startup) -> None:
        since = startup.started_at.get("kubelet", 0.0)
        startup.wait("the node is Ready", lambda: readiness.node(api, since=since), seconds=120)
        self.seconds["node"] = startup.seconds
        startup.wait("DNS answers", lambda: readiness.dns(site.addresses), seconds=60)
        startup.wait("metrics are served", lambda: readiness.metrics(api), seconds=60)
        self.seconds["add-ons"] = startup.seconds

    def _on_death(self, service: str, deaths: int) -> None:
        """Give up on a store that cannot be read: the machine went down while it was written."""
        if service == "etcd" and deaths == _STORE_GIVEN_UP_AFTER and self._layout.etcd.exists():
            aside = self._layout.etcd.with_name("etcd.unreadable")
            shutil.rmtree(aside, ignore_errors=True)
            self._layout.etcd.rename(aside)
            # It would wait for the old store for a long time.
            processes.stop(
                process
                for name, process in processes.running(self._layout).items()
                if name == "kube-apiserver"
            )
            self._progress.say(
                f"etcd does not start on its data, now in {aside}; the cluster begins empty"
            )
        else:
            self._progress.say(f"{service} ended ({deaths}); starting it again")

    def _service_environment(self) -> Mapping[str, str]:
        # Nothing of the user's: a proxy, for one, must not come between the parts of a cluster.
        return {"PATH": _PATH, "HOME": str(self._layout.state)}

    def _recorded(self) -> state.Record:
        record = state.load(self._layout)
        if not record:
            raise ClusterError(
                f"there is no cluster {self.name}; make it with "
                f"`python -m dev.cluster up --name {self.name}`"
            )
        return record

    def _summary(self, site: Site) -> str:
        parts = ["a control plane", *(["a node"] if site.has_node else [])]
        if site.record.fake_nodes:
            parts.append(f"{site.record.fake_nodes} fake nodes")
        return ", ".join(parts)

    def _say_waiting(self) -> None:
        self._progress.say(f"waiting: another command works on cluster {self.name}")


_STORE_GIVEN_UP_AFTER = 3


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


def _link(link: Path, target: Path) -> None:
    if not link.is_symlink() or link.readlink() != target:
        scratch = link.with_name(f".{link.name}")
        scratch.unlink(missing_ok=True)
        scratch.symlink_to(target)
        scratch.replace(link)
