"""The operator's own Secret: its signing key, and the seed of every server's hash key."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from breakwater_operator.api.errors import ClusterError
from breakwater_operator.api.names import MANAGER
from breakwater_operator.api.platform import Platform
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import SECRET
from breakwater_operator.probe.token import SigningKey

SEED_BYTES = 32


@dataclass(frozen=True)
class Signing:
    """What the operator is known by."""

    key: SigningKey
    seed: bytes


def secret_name(platform: Platform) -> str:
    """Name the operator's own Secret."""
    return f"{platform.instance}-signing-key"


async def load(api: KubeApi, platform: Platform, entropy: Callable[[int], bytes]) -> Signing:
    """Read the operator's own Secret, or make it where there is none.

    It is created and never changed: when two operators start at once, both end up with the one
    that came first.

    Args:
        api: Where to read and write.
        platform: Names the Secret and its namespace.
        entropy: Makes so many random bytes.

    Raises:
        ClusterError: It could not be read or made, or its content makes no sense.
    """
    namespace, name = platform.namespace, secret_name(platform)
    try:
        live = await api.get(SECRET, namespace, name)
    except ApiError as error:
        if not error.not_found:
            raise
        live = await _create(api, namespace, name, entropy)
    return _read(live)


async def _create(
    api: KubeApi, namespace: str, name: str, entropy: Callable[[int], bytes]
) -> dict[str, Any]:
    content = {"seed": entropy(SEED_BYTES), "key.pem": SigningKey.fresh()}
    manifest = {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.name,
        "metadata": {
            "namespace": namespace,
            "name": name,
            "labels": {"app.kubernetes.io/part-of": MANAGER},
        },
        "data": {key: base64.b64encode(value).decode() for key, value in content.items()},
    }
    try:
        return await api.create(SECRET, manifest, manager=MANAGER)
    except ApiError as error:
        if error.conflict:
            return await api.get(SECRET, namespace, name)
        raise


def _read(live: dict[str, Any]) -> Signing:
    where = f"Secret {live['metadata']['namespace']}/{live['metadata']['name']}"
    try:
        seed = base64.b64decode(live["data"]["seed"], validate=True)
        key = SigningKey.read(base64.b64decode(live["data"]["key.pem"], validate=True))
    except (LookupError, TypeError, ValueError, binascii.Error) as error:
        raise ClusterError(
            f"{where} has no `seed` or no `key.pem` that makes sense ({error}); delete it and "
            "restart the operator to have a new one, which all servers are then told of"
        ) from error
    if len(seed) < SEED_BYTES:
        raise ClusterError(
            f"{where}: `seed` has {len(seed)} bytes, accepted are {SEED_BYTES}; delete the Secret "
            "and restart the operator to have a new one"
        )
    return Signing(key, seed)
