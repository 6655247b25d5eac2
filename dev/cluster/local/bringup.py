"""The order in which a cluster's parts start, and when each counts as up."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from dev.cluster import files
from dev.cluster.api import Api
from dev.cluster.local import (
    addons,
    cgroups,
    control_plane,
    fake_nodes,
    kernel,
    mounts,
    node,
    node_images,
    pki,
    processes,
    readiness,
)
from dev.cluster.local.startup import Startup

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.cluster.local.site import Site
    from dev.cluster.progress import Progress

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_STORE_GIVEN_UP_AFTER = 3
"""Deaths of etcd in one start after which its data count as unreadable."""


class Bringup:
    """Starts whatever of a cluster does not run.

    Args:
        site: the cluster.
        progress: who is told what goes on.
    """

    def __init__(self, site: Site, progress: Progress) -> None:
        self._site = site
        self._layout = site.layout
        self._progress = progress
        # Nothing of the user's: a proxy, for one, must not come between the parts of a cluster.
        environment = {"PATH": _PATH, "HOME": str(site.layout.state)}
        self._startup = Startup(site.layout, environment, self._on_death)

    def run(self) -> dict[str, float]:
        """Do it; return how many seconds it took to each milestone."""
        seconds = {}
        self._prepare()
        with Api(self._layout.kubeconfig) as api:
            self._start_store_and_api(api)
            if self._site.has_node:
                self._start_node()
            self._start_controllers(api)
            if self._site.has_node:
                self._start_addons()
            self._wait("the controllers work", lambda: readiness.first_service_account(api))
            seconds["control-plane"] = self._startup.seconds
            if self._site.has_node:
                self._await_node(api)
                seconds["node"] = self._startup.seconds
                self._await_addons(api)
                seconds["add-ons"] = self._startup.seconds
        self._progress.say(f"cluster {self._layout.name} is up: {self._summary()}")
        return seconds

    def _prepare(self) -> None:
        """Make what the processes need besides the network."""
        site, layout = self._site, self._layout
        kernel.raise_limits()
        for folder in (layout.run, layout.volumes, layout.bin):
            folder.mkdir(parents=True, exist_ok=True)
        pki.ensure(layout, site.addresses)
        pki.write_kubeconfigs(layout, site.addresses)
        files.link(layout.bin / "kubectl", site.folders["kube"] / "kube")
        if site.has_node:
            cgroups.ensure(layout)
            # The kubelet makes sockets below its folder, whose paths may not be long.
            mounts.bind(layout.kubelet, layout.kubelet_root)

    def _start_store_and_api(self, api: Api) -> None:
        site = self._site
        self._startup.want(control_plane.etcd(site))
        if site.has_node:
            # It needs nobody, and starts while the others do.
            self._startup.want(node.containerd(site))
        # An API server that finds no store looks again only after a second.
        self._wait("etcd listens", self._store_listens)
        self._startup.want(control_plane.api_server(site))
        self._wait("the API server answers", lambda: readiness.answers(api))

    def _store_listens(self) -> bool:
        etcd = processes.running(self._layout).get("etcd")
        return readiness.listens(etcd, control_plane.ETCD_PORT)

    def _start_controllers(self, api: Api) -> None:
        site = self._site
        # They have to wait: they end when they find their own rights missing still.
        self._wait("the API server is ready", lambda: readiness.api_server(api))
        self._startup.want(control_plane.controller_manager(site), control_plane.scheduler(site))
        for path, body in addons.manifests(site):
            api.apply(path, body)
        self._startup.want(control_plane.caretaker(site))
        if site.record.fake_nodes:
            self._startup.want(addons.kwok(site))
        fake_nodes.scale(api, site)

    def _start_node(self) -> None:
        self._wait("containerd answers", lambda: node_images.answers(self._site))
        node_images.load_pause(self._site)
        self._startup.want(node.kubelet(self._site))

    def _start_addons(self) -> None:
        self._startup.want(addons.dns(self._site), addons.metrics_server(self._site))

    def _await_node(self, api: Api) -> None:
        # What the node said before it was last stopped does not count.
        since = self._startup.started_at.get("kubelet", 0.0)
        self._wait("the node is Ready", lambda: readiness.node(api, since=since))

    def _await_addons(self, api: Api) -> None:
        addresses = self._site.addresses
        # It ends when the node it finds has no address yet.
        self._startup.want(node.kube_proxy(self._site))
        self._wait("Services work", lambda: readiness.services(addresses))
        self._wait("DNS answers", lambda: readiness.dns(addresses))
        self._wait("metrics are served", lambda: readiness.metrics(api))

    def _on_death(self, service: str, deaths: int) -> None:
        """Give up on a store that cannot be read: the machine went down while it was written."""
        store = self._layout.etcd
        if service != "etcd" or deaths != _STORE_GIVEN_UP_AFTER or not store.exists():
            self._progress.say(f"{service} ended ({deaths}); starting it again")
            return
        aside = store.with_name("etcd.unreadable")
        shutil.rmtree(aside, ignore_errors=True)
        store.rename(aside)
        # It would try the old store for a long time.
        running = processes.running(self._layout)
        processes.stop(running[name] for name in running if name == "kube-apiserver")
        self._progress.say(
            f"etcd does not start on its data, now in {aside}; the cluster begins empty"
        )

    def _wait(self, what: str, done: Callable[[], object]) -> None:
        self._startup.wait(what, done, seconds=120)

    def _summary(self) -> str:
        parts = ["a control plane", *(["a node"] if self._site.has_node else [])]
        if count := self._site.record.fake_nodes:
            parts.append(f"{count} fake nodes")
        return ", ".join(parts)
