"""One namespace, one operator behind a proxy, and everything a test asks of them."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from breakwater_operator.kube.kinds import CHILDREN, MCP_SERVER, Kind
from breakwater_operator.reconcile.refusals import ASKED_ANNOTATION
from breakwater_operator.reconcile.statuses import SOON_SECONDS
from dev.cluster.api import Api, ApiError, UnreachableError
from tests.support.cluster import KINDS_SECONDS, eventually
from tests.support.definitions import install_crd
from tests.support.faultproxy import FaultProxy
from tests.support.operator import OperatorProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.cluster import RunningCluster
    from tests.support.faultproxy import Seen

Object = dict[str, Any]

ROOT = Path(__file__).parents[2]

KINDS = {kind.name: kind for kind in CHILDREN}
QUOTA = Kind("v1", "ResourceQuota", "resourcequotas")
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"

OUTAGE_SECONDS = 60.0
"""How long the API server may be away while a test asks it."""

AWAY = {0, 429, 503}
"""No answer, or one that says to ask again: 429 is also that of a kind that is quite new."""

DONE = {"POST": 409, "DELETE": 404}
"""What is answered to a request that was carried out already, and whose answer was lost."""

UNQUIET_SECONDS = 180.0
"""After which an operator that still writes does so for ever."""

_LOOK_SECONDS = 0.05

_CHANGING = {"resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"}


@dataclass
class Ground:
    """A namespace, and the operator that looks after it."""

    api: Api
    namespace: str
    proxy: FaultProxy
    operator: OperatorProcess

    def apply(self, name: str, **spec: Any) -> None:
        """Apply an McpServer: a good one where nothing else is said."""
        spec = {"backends": [{"name": "main", "python": {"server": "weather.main:mcp"}}]} | spec
        manifest = {
            "apiVersion": MCP_SERVER.api_version,
            "kind": MCP_SERVER.name,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": spec,
        }
        path = f"{MCP_SERVER.path(self.namespace, name)}?fieldManager=test&force=true"
        self.api.request("PATCH", path, manifest, "application/apply-patch+yaml")

    def ready(self, name: str, **spec: Any) -> Object:
        """Apply an McpServer, wait until it is ready and quiet, and return it."""
        self.apply(name, **spec)
        self.wait(name, "Ready")
        self.wait(name, "Progressing", "False")
        server = self.server(name)
        assert server is not None
        return server

    def server(self, name: str) -> Object | None:
        """Read an McpServer."""
        return self.get(MCP_SERVER, name)

    def get(self, kind: Kind, name: str) -> Object | None:
        """Read an object of the namespace."""
        found: Object | None = self.api.find(kind.path(self.namespace, name))
        return found

    def find(self, kind: Kind, name: str) -> Object:
        """Read an object that must be there."""
        found: Object = self.api.get(kind.path(self.namespace, name))
        return found

    def create(self, kind: Kind, name: str, **content: Any) -> None:
        """Create an object as somebody else would."""
        metadata = content.pop("metadata", {}) | {"name": name, "namespace": self.namespace}
        body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, **content}
        self.api.request("POST", kind.path(self.namespace), body)

    def delete(self, kind: Kind, name: str, policy: str = "Background") -> None:
        """Delete an object as somebody else would."""
        body = {"propagationPolicy": policy}
        self.api.request("DELETE", kind.path(self.namespace, name), body)

    def patch(self, kind: Kind, name: str, change: Any, *, is_tried: bool = False) -> Object:
        """Change an object as somebody else would: by a merge patch, or steps of a JSON patch.

        One that is merely tried is answered as if it were made.
        """
        content_type = JSON_PATCH if isinstance(change, list) else MERGE
        query = "?fieldManager=somebody" + ("&dryRun=All" if is_tried else "")
        path = kind.path(self.namespace, name) + query
        changed: Object = self.api.request("PATCH", path, change, content_type)
        return changed

    def condition(self, name: str, kind: str) -> Object:
        """Read a condition of an McpServer; an empty one where there is none."""
        return _condition(self.server(name) or {}, kind)

    def wait(
        self, name: str, kind: str, status: str = "True", reason: str = "", seconds: float = 60
    ) -> Object:
        """Wait for a condition of the newest generation, and return it as it was found."""
        found: Object = {}

        def is_so() -> bool:
            nonlocal found
            server = self.server(name)
            if server is None:
                return False
            found = _condition(server, kind)
            observed = (server.get("status") or {}).get("observedGeneration")
            is_newest = observed == server["metadata"]["generation"]
            is_it = found.get("status") == status and reason in {"", found.get("reason")}
            return is_newest and is_it

        try:
            eventually(is_so, f"{name} has {kind}={status} {reason}", seconds=seconds)
        except BaseException:
            print(json.dumps((self.server(name) or {}).get("status"), indent=1))  # noqa: T201 - for who reads the failure
            print(self.operator.log[-3000:])  # noqa: T201 - for who reads the failure
            raise
        return found

    def children(self, name: str) -> dict[tuple[str, str], Object]:
        """All children of an McpServer, by kind and name, without what changes by itself."""
        found = {}
        for kind in CHILDREN:
            for live in self.api.get(kind.path(self.namespace))["items"]:
                owners = live["metadata"].get("ownerReferences") or ()
                if any(o["kind"] == MCP_SERVER.name and o["name"] == name for o in owners):
                    found[kind.name, live["metadata"]["name"]] = said(live)
        return found

    def writes(self, name: str, since: int) -> list[Seen]:
        """What was written of an McpServer and its children.

        What of others of the namespace is written may come at any time, as of one whose autoscaler
        has had no metrics for minutes.
        """
        written = self.proxy.writes(since)
        return [seen for seen in written if f"{seen.name}-".startswith(f"{name}-")]

    def settled(self) -> None:
        """Wait until it has nothing to write any more, other than what comes of something new.

        New words of a status that says the same are held back for a while after the last write.
        """
        self.quiet(SOON_SECONDS + 1.0)

    def limit(self, what: str, most: str, name: str = "tight") -> None:
        """Set a quota, and wait until it holds: the API server knows of none that is not counted.

        Args:
            what: Of what there may be only so much.
            most: How much.
            name: Of the quota.
        """
        self.create(QUOTA, name, spec={"hard": {what: most}})
        eventually(
            lambda: what in (self.find(QUOTA, name).get("status") or {}).get("used", {}),
            f"the quota {name} holds",
            seconds=KINDS_SECONDS,
        )

    def quiet(self, seconds: float = 0.7) -> None:
        """Wait until the operator has written nothing for a while.

        Looks are counted rather than seconds: where the machine stood still, so did the operator.
        """
        end = time.monotonic() + UNQUIET_SECONDS
        last, looks = len(self.proxy.writes()), 0
        while looks * _LOOK_SECONDS < seconds:
            if time.monotonic() > end:
                newest = [f"{seen.what} {seen.name}" for seen in self.proxy.writes()[-20:]]
                pytest.fail(f"it writes and writes: {newest}", pytrace=False)
            time.sleep(_LOOK_SECONDS)
            now = len(self.proxy.writes())
            looks = looks + 1 if now == last else 0
            last = now


def now() -> datetime:
    """What time it is for the operator too: it runs by the machine's own clock."""
    return datetime.now(UTC)  # noqa: TID251 - the operator is another process, and has no other clock


def _condition(server: Object, kind: str) -> Object:
    found = (server.get("status") or {}).get("conditions") or ()
    return next((one for one in found if one["type"] == kind), {})


def said(live: Object) -> Object:
    """What an object says, without what differs between two runs that did the same."""
    kept = {key: value for key, value in live.items() if key not in {"metadata", "status"}}
    metadata = {k: v for k, v in live["metadata"].items() if k not in _CHANGING}
    annotations = metadata.get("annotations") or {}
    for changing in ("deployment.kubernetes.io/revision", ASKED_ANNOTATION):
        annotations.pop(changing, None)
    if not annotations:
        metadata.pop("annotations", None)
    metadata["ownerReferences"] = [
        owner | {"uid": ""} for owner in metadata.get("ownerReferences") or ()
    ]
    return kept | {"metadata": metadata}


class PatientApi(Api):
    """One that waits for an API server which does not answer."""

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Any:
        """Send one request, again where it was not answered."""
        end = time.monotonic() + OUTAGE_SECONDS
        is_lost = False
        while True:
            try:
                return super().request(method, path, body, content_type)
            except (UnreachableError, ApiError) as error:
                status = error.status if isinstance(error, ApiError) else 0
                if is_lost and status == DONE.get(method):
                    return None
                if status not in AWAY or time.monotonic() > end:
                    raise
                is_lost |= not status
                time.sleep(0.2)


@contextmanager
def ground(
    kubeconfig: Path,
    namespace: str,
    folder: Path,
    root: Path,
    acts_as: str = "",
    prepare: Callable[[], object] = lambda: None,
    **options: Any,
) -> Iterator[Ground]:
    """Start an operator for one namespace, behind a proxy.

    Args:
        kubeconfig: The administrator's.
        namespace: A new one.
        folder: For files.
        root: Where the project is.
        acts_as: Whose rights the operator has; empty: the administrator's.
        prepare: Called once the namespace is there.
        options: Of the operator's process.
    """
    with PatientApi(kubeconfig) as api:
        install_crd(api, root)
        api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
        try:
            prepare()
            with (
                FaultProxy(kubeconfig, folder, acts_as=acts_as) as proxy,
                OperatorProcess(
                    proxy.path, kubeconfig, folder, (namespace,), **options
                ) as operator,
            ):
                yield Ground(api, namespace, proxy, operator)
        finally:
            api.delete(f"/api/v1/namespaces/{namespace}")


@contextmanager
def own_ground(
    cluster: RunningCluster, folders: pytest.TempPathFactory, name: str, **options: Any
) -> Iterator[Ground]:
    """Start an operator for a namespace of its own, named after what is tested there."""
    namespace = f"{name}-{uuid.uuid4().hex[:8]}"  # noqa: TID251 - it has to be new, not known
    with ground(cluster.kubeconfig, namespace, folders.mktemp("operator"), ROOT, **options) as made:
        yield made
