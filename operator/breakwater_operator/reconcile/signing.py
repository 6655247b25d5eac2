"""The operator's own Secret: its signing keys, and the seed of every server's hash key.

A key is followed by another one in three steps: the new one is published to all servers beside the
old one; a pod that says that it knows it is asked with it; and once all do, the old one is dropped.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from breakwater_contract.names import API_GROUP
from breakwater_contract.settings import OperatorKey
from breakwater_operator.api.errors import ClusterError
from breakwater_operator.api.names import MANAGER
from breakwater_operator.api.platform import Platform
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import SECRET
from breakwater_operator.probe.token import SigningKey

SEED_BYTES = 32

ROTATED_AFTER = timedelta(days=30)
"""The age at which a key is followed by another."""

DROPPED_AFTER = timedelta(days=1)
"""How long a pod that does not answer, or cannot be told, may keep the old key in use."""

ROTATED_ANNOTATION = f"{API_GROUP}/rotated-at"
"""On the Secret: when its newest key was made. Absent: with the Secret. Who writes an early time
there has the key rotated."""

OLD, NEW = "key.pem", "next.pem"
"""Its entries with keys: the one that every pod knows, and the one that follows it."""


@dataclass
class Signing:
    """What the operator is known by."""

    keys: tuple[SigningKey, ...]
    """One, or two while one follows the other: the older one first."""
    seed: bytes = field(repr=False)
    rotated: datetime
    """When the newest key was made."""
    live: dict[str, Any] = field(repr=False)
    """The Secret."""

    @property
    def public(self) -> tuple[OperatorKey, ...]:
        """The public halves, as servers are told of them."""
        return tuple(key.public for key in self.keys)

    @property
    def is_turning(self) -> bool:
        """Whether a rotation is under way."""
        return len(self.keys) > 1

    def take(self, other: "Signing") -> bool:
        """Take over another state of the keys; say whether servers have to be told."""
        is_news = self.public != other.public
        self.keys, self.rotated, self.live = other.keys, other.rotated, other.live
        return is_news


def secret_name(platform: Platform) -> str:
    """Name the operator's own Secret."""
    return f"{platform.instance}-signing-key"


async def load(
    api: KubeApi,
    platform: Platform,
    entropy: Callable[[int], bytes],
    known: Signing | None = None,
) -> Signing:
    """Read the operator's own Secret, or make it where there is none.

    When two operators start at once, both end up with the one that came first.

    Args:
        api: Where to read and write.
        platform: Names the Secret and its namespace.
        entropy: Makes so many random bytes.
        known: What it said last; a Secret that was deleted is made again of that, since the
            servers know these keys.

    Raises:
        ClusterError: It could not be read or made, or its content makes no sense.
    """
    namespace, name = platform.namespace, secret_name(platform)
    try:
        live = await api.get(SECRET, namespace, name)
    except ApiError as error:
        if not error.not_found:
            raise
        data = known.live["data"] if known is not None else _fresh(entropy)
        live = await _create(api, namespace, name, data)
    return read(live)


async def rotated(
    api: KubeApi, signing: Signing, now: datetime, *, is_known: bool
) -> Signing | None:
    """Take the next step of a rotation, if its time has come; None: it has not.

    Args:
        api: Where to write.
        signing: The keys as they are.
        now: The time.
        is_known: Whether every pod that is asked knows the newest key.

    Raises:
        ApiError: It could not be written; 409 where somebody else wrote the Secret.
    """
    age, data = now - signing.rotated, dict(signing.live["data"])
    metadata = signing.live["metadata"]
    if signing.is_turning:
        if not is_known and age < DROPPED_AFTER:
            return None
        data[OLD] = data.pop(NEW)
    elif age >= ROTATED_AFTER:
        data[NEW] = base64.b64encode(SigningKey.fresh()).decode()
        at = now.replace(microsecond=0).isoformat()
        annotations = (metadata.get("annotations") or {}) | {ROTATED_ANNOTATION: at}
        metadata = metadata | {"annotations": annotations}
    else:
        return None
    changed = signing.live | {"metadata": metadata, "data": data}
    return read(await api.replace(SECRET, changed, manager=MANAGER))


def _fresh(entropy: Callable[[int], bytes]) -> dict[str, str]:
    content = {"seed": entropy(SEED_BYTES), OLD: SigningKey.fresh()}
    return {key: base64.b64encode(value).decode() for key, value in content.items()}


async def _create(api: KubeApi, namespace: str, name: str, data: dict[str, str]) -> dict[str, Any]:
    manifest = {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.name,
        "metadata": {
            "namespace": namespace,
            "name": name,
            "labels": {"app.kubernetes.io/part-of": MANAGER},
        },
        "data": data,
    }
    try:
        return await api.create(SECRET, manifest, manager=MANAGER)
    except ApiError as error:
        if error.conflict:
            return await api.get(SECRET, namespace, name)
        raise


def read(live: dict[str, Any]) -> Signing:
    """Read the operator's own Secret.

    Raises:
        ClusterError: Its content makes no sense.
    """
    where = f"Secret {live['metadata']['namespace']}/{live['metadata']['name']}"
    try:
        seed = base64.b64decode(live["data"]["seed"], validate=True)
        entries = [OLD, *([NEW] if NEW in live["data"] else [])]
        keys = tuple(SigningKey.read(base64.b64decode(live["data"][one])) for one in entries)
    except (LookupError, TypeError, ValueError, binascii.Error) as error:
        raise ClusterError(
            f"{where} has no `seed` or no `{OLD}` that makes sense, or a `{NEW}` that makes none "
            f"({error}); delete it and restart the operator to have a new one, which all servers "
            "are then told of"
        ) from error
    if len(seed) < SEED_BYTES:
        raise ClusterError(
            f"{where}: `seed` has {len(seed)} bytes, accepted are {SEED_BYTES}; delete the Secret "
            "and restart the operator to have a new one"
        )
    return Signing(keys, seed, _rotated(live["metadata"], where), live)


def _rotated(metadata: dict[str, Any], where: str) -> datetime:
    noted = (metadata.get("annotations") or {}).get(ROTATED_ANNOTATION)
    try:
        found = datetime.fromisoformat(noted or metadata["creationTimestamp"])
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ClusterError(
            f"{where}: the annotation {ROTATED_ANNOTATION} is {noted}, accepted is a time as in "
            "2026-11-21T09:00:00Z; correct or remove it"
        )
    return found
