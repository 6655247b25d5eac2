"""Who manages which field of a child: what others are given, and what is taken from them."""

from typing import Any

from breakwater_operator.api.names import MANAGER, REPLICAS_MANAGER
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.cache import Cache
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.reconcile.plan import Child
from breakwater_operator.render import exclusive, ownership
from breakwater_operator.render.manifest import Live, Manifest

Object = dict[str, Any]

CLAIM_TRIES = 3
"""How often managedFields may have changed before they are patched."""


async def hand_over(api: KubeApi, child: Child) -> None:
    """Keep what we set and from now on others decide, before the apply that leaves it out.

    An applied field that its only manager leaves out is removed, and falls back to a default: a
    Deployment of five pods to one.

    Args:
        api: Where the child is.
        child: A child that is about to be applied.

    Raises:
        ApiError: It is not there, or the API server refused.
    """
    if child.at_birth is None:
        return
    # By whom its fields were written is not kept of any object: it is half of it.
    named = child.desired["metadata"]
    live = await api.get(child.kind, named["namespace"], named["name"])
    if not _owns_replicas(live):
        return
    metadata = {key: live["metadata"][key] for key in ("namespace", "name", "uid")}
    held = {
        "apiVersion": child.kind.api_version,
        "kind": child.kind.name,
        "metadata": metadata,
        "spec": {"replicas": live["spec"]["replicas"]},
    }
    await api.apply(child.kind, held, manager=REPLICAS_MANAGER)


async def claim(api: KubeApi, cache: Cache, child: Child) -> bool:
    """Own what others added and what keeps our apply from being taken, or take it away.

    Args:
        api: Where the child is.
        cache: The children of its kind.
        child: A child whose apply was refused.

    Returns:
        Whether there was any: then the apply may be tried again.

    Raises:
        ApiError: The child is not there, or the API server failed.
    """
    metadata = child.desired["metadata"]
    where = (metadata["namespace"], metadata["name"])
    for _ in range(CLAIM_TRIES):
        live = await api.get(child.kind, *where)
        steps = claiming(child.desired, live)
        if not steps:
            break
        try:
            with cache.writing(*where):
                cache.wrote(await api.json_patch(child.kind, *where, steps, manager=MANAGER))
        except ApiError as error:
            if not error.conflict and not error.refused:
                raise
        else:
            return True
    # Else the entries of others came and went all the time; the next pass tries it again.
    return False


def claiming(desired: Manifest, live: Live) -> list[Object]:
    """Give the JSON patch after which an apply takes away what others added.

    Somebody may have emptied `managedFields`, as some tools do to an object that they restore: then
    the API server keeps no account until the next apply, and what was added has no owner to take it
    from. It is taken away at once, and nobody owns anything by that either.
    """
    if not live["metadata"].get("managedFields"):
        return exclusive.foreign(desired, live)
    return ownership.claimed(live, exclusive.spoiled(desired, live), MANAGER)


def _owns_replicas(live: Object) -> bool:
    """Whether our applied fields of a Deployment contain the number of its pods."""
    return any(
        entry.get("manager") == MANAGER
        and entry.get("operation") == "Apply"
        and not entry.get("subresource")
        and "f:replicas" in (entry.get("fieldsV1") or {}).get("f:spec", {})
        for entry in live["metadata"].get("managedFields") or ()
    )
