"""What the operator knows of the cluster without asking: its caches, and whom a change wakes."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from breakwater_contract.names import API_GROUP, SERVER_LABEL
from breakwater_operator.api.names import MANAGER
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.cache import Cache
from breakwater_operator.kube.informer import Informer
from breakwater_operator.kube.kinds import (
    CHILDREN,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    MCP_SERVER,
    OPTIONAL,
    POD,
    SECRET,
    SERVICE,
    Kind,
)
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.references import References
from breakwater_operator.reconcile.trim import deployment, endpoint_slice, pod, without_managers

MANAGED = f"app.kubernetes.io/managed-by={MANAGER}"

KEPT = {DEPLOYMENT: deployment}
"""What is kept of children where that is not everything but the managers."""

CONTROLLERS_OWN = "deployment.kubernetes.io/revision"

SERVICE_LABEL = "kubernetes.io/service-name"
"""Which Service an EndpointSlice is of; the one for metrics has slices too."""

LOST_MAX = 3
"""Deleted ControllerRevisions that are remembered of a server: pods are of one or two. To a replica
that waits, all that the leader prunes is deleted by somebody."""

Object = dict[str, Any]


class World:
    """Every cache, kept true by informers.

    Children, pods and endpoints carry labels of ours, and only these are followed. What servers
    merely refer to is followed by its metadata alone.
    """

    def __init__(
        self,
        api: KubeApi,
        namespaces: Sequence[str],
        wake: Callable[[Key], None],
        wake_soon: Callable[[Key], None],
    ) -> None:
        """Begin with empty caches.

        Args:
            api: Where to ask.
            namespaces: Where to look; empty means everywhere.
            wake: Told of each McpServer that a change concerns.
            wake_soon: The same, where several changes are likely to come together: what pods and
                controllers report.
        """
        self._wake = wake
        self._wake_soon = wake_soon
        self._namespaces: Sequence[str | None] = namespaces or (None,)
        self._api = api
        self.children = {
            kind: Cache(self._child_changed, KEPT.get(kind, without_managers), _whose)
            for kind in (*CHILDREN, *OPTIONAL)
        }
        self.kinds: frozenset[str] = frozenset()
        """The optional kinds that the cluster knows, and whose caches are full."""
        self._lost: dict[Key, dict[str, Object]] = {}
        self.pods = Cache(self._labelled_changed, pod, server_of)
        self.endpoints = Cache(self._endpoints_changed, endpoint_slice, server_of)
        self.references = References(api, wake)
        self.informers = list(self._informers(api))

    def owned(self, uid: str, key: Key) -> list[tuple[Kind, Object]]:
        """All children that name this owner as their controller, of the kinds that are known.

        And those that no longer have one, as of an earlier server of the name that was deleted
        without them: else an Ingress of that one leads to this one. Not so Secrets: a generated key
        outlives its server where that is asked for.

        What seems to be of another kind is left alone: it cannot be made again, and who said that
        its kind is gone may be mistaken.
        """
        return [
            (kind, live)
            for kind, cache in self.children.items()
            if kind not in OPTIONAL or kind.name in self.kinds
            for group in ((uid,) if kind == SECRET else (uid, key))
            for live in cache.together(group)
        ]

    def waited_for(self, owner: Object) -> list[tuple[str, Object]]:
        """All that has to go before a server does that is deleted in the foreground."""
        metadata = owner["metadata"]
        children = [
            (kind.name, live)
            for kind, cache in self.children.items()
            for live in cache.together(metadata["uid"])
        ]
        pods = self.pods.together((metadata["namespace"], metadata["name"]))
        return [*children, *((POD.name, live) for live in pods)]

    def forget(self, key: Key) -> None:
        """Drop what is remembered of a server that is gone."""
        self.references.use(key, ())
        self._lost.pop(key, None)

    def lost(self, key: Key, name: str) -> Object | None:
        """The last state of a ControllerRevision of a server that somebody deleted.

        Where it is needed again, it is made from that and not from today's defaults.
        """
        return self._lost.get(key, {}).get(name)

    def ready_endpoints(self, key: Key) -> int:
        """How many endpoints of a server's Service take requests."""
        found = self.endpoints.together(key)
        return sum(live["ready"] for live in found if _service(live) == key[1])

    def left_endpoints(self, service: Object) -> Object | None:
        """Find an EndpointSlice of an earlier Service of this name that is yet to be deleted.

        The garbage collector deletes it. A Service that is made before that is handed the slice
        by Kubernetes' own controller, which may then wait for it for ever and give the Service no
        endpoints at all: https://github.com/kubernetes/kubernetes/issues/141592.

        Args:
            service: The Service that is to be made.
        """
        name = service["metadata"]["name"]
        for live in self.endpoints.together(server_of(service)):
            owner = controller(live) or {}
            is_of_it = _service(live) == name and owner.get("kind") == SERVICE.name
            if is_of_it and not live["metadata"].get("deletionTimestamp"):
                return live
        return None

    def informers_of(self, kind: Kind) -> list[Informer]:
        """Make the informers of an optional kind; the caller runs them."""
        cache = self.children[kind]
        return [
            Informer(self._api, kind, cache, namespace=namespace, selector=MANAGED)
            for namespace in self._namespaces
        ]

    def _child_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None and old["kind"] == CONTROLLER_REVISION.name:
            self._lose(old)
        wake = self._wake
        if old is not None and new is not None and _is_report(old, new):
            if old.get("status") == new["status"]:
                return
            wake = self._wake_soon
        _tell(wake, {_owner(old), _owner(new), server_of(old), server_of(new)})

    def _lose(self, revision: Object) -> None:
        key = _owner(revision) or server_of(revision)
        if key is None:
            return
        lost, name = self._lost.setdefault(key, {}), revision["metadata"]["name"]
        lost.pop(name, None)
        lost[name] = revision
        if len(lost) > LOST_MAX:
            del lost[next(iter(lost))]

    def _labelled_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None and new is not None and _same(old, new):
            return
        _tell(self._wake_soon, {server_of(old), server_of(new)})

    def _endpoints_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            # The Service may be waited with until now.
            _tell(self._wake, {server_of(old)})
        elif (key := server_of(new)) is not None and _service(new) == key[1]:
            # Nobody asks whether the Service for metrics leads anywhere.
            self._labelled_changed(old, new)

    def _informers(self, api: KubeApi) -> Iterator[Informer]:
        children = [(kind, self.children[kind]) for kind in CHILDREN]
        caches = [*children, (POD, self.pods), (ENDPOINT_SLICE, self.endpoints)]
        for namespace in self._namespaces:
            for kind, cache in caches:
                yield Informer(api, kind, cache, namespace=namespace, selector=MANAGED)
            for kind, cache in self.references.caches.items():
                yield Informer(api, kind, cache, namespace=namespace, metadata_only=True)


def controller(live: Object) -> Object | None:
    """The owner that controls an object, if one does."""
    for reference in live["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            found: Object = reference
            return found
    return None


def is_mcp_server(owner: Object) -> bool:
    """Whether an owner is an McpServer of ours, of whatever version."""
    group = str(owner.get("apiVersion", "")).partition("/")[0]
    return bool(group == API_GROUP and owner.get("kind") == MCP_SERVER.name)


def server_of(live: Object | None) -> Key | None:
    """The McpServer that an object's labels name."""
    labels = live["metadata"].get("labels") or {} if live is not None else {}
    server = labels.get(SERVER_LABEL)
    return (live["metadata"]["namespace"], server) if live is not None and server else None


def _owner(live: Object | None) -> Key | None:
    owner = controller(live) if live is not None else None
    if live is None or owner is None or not is_mcp_server(owner):
        return None
    return live["metadata"]["namespace"], owner["name"]


def _service(endpoints: Object) -> str | None:
    name: str | None = (endpoints["metadata"].get("labels") or {}).get(SERVICE_LABEL)
    return name


def _whose(live: Object) -> str | Key | None:
    """The uid of an object's owner; where it has none, the McpServer that its labels name."""
    owner = controller(live)
    return owner["uid"] if owner is not None else server_of(live)


def _tell(wake: Callable[[Key], None], keys: set[Key | None]) -> None:
    for key in keys:
        if key is not None:
            wake(key)


def _is_report(old: Object, new: Object) -> bool:
    """Whether nothing but the status of an object can have changed."""
    kept = ("generation", "labels", "ownerReferences", "deletionTimestamp", "finalizers")
    same = all(old["metadata"].get(key) == new["metadata"].get(key) for key in kept)
    same = same and _annotations(old) == _annotations(new)
    return same and "status" in new and old.get("spec") == new.get("spec")


def _annotations(live: Object) -> Object:
    """Annotations, but for what the Deployment's own controller notes down."""
    found = live["metadata"].get("annotations") or {}
    return {key: value for key, value in found.items() if key != CONTROLLERS_OWN}


def _same(old: Object, new: Object) -> bool:
    return _without_version(old) == _without_version(new)


def _without_version(live: Object) -> Object:
    metadata = {k: v for k, v in live["metadata"].items() if k != "resourceVersion"}
    return live | {"metadata": metadata}
