"""Kinds that are new to a cluster, and when all of it knows them."""

from __future__ import annotations

import http.client
from functools import partial
from typing import TYPE_CHECKING

import yaml

from dev.cluster.api import ApiError
from tests.support.cluster import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from dev.cluster.api import Api

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SERVED_SECONDS = 60.0
"""How long a new kind may take: each part of the API server looks for itself."""


def install_crd(api: Api, folder: Path) -> None:
    """Make the API server know McpServers."""
    for path in sorted((folder / "crds").glob("*.yaml")):
        manifest = yaml.safe_load(path.read_text())
        name = manifest["metadata"]["name"]
        where = f"{DEFINITIONS}/{name}"
        api.apply(where, manifest)
        eventually(partial(is_served, api, where), f"{name} is served", seconds=SERVED_SECONDS)


def is_served(api: Api, where: str) -> bool:
    """Whether the objects of a definition are found by whoever looks, and can be made.

    It is called established first, and only then do its handlers begin, and those who list kinds.
    """
    found = api.get(where)
    conditions = found.get("status", {}).get("conditions") or ()
    if not any(one["type"] == "Established" and one["status"] == "True" for one in conditions):
        return False
    spec, plural = found["spec"], found["spec"]["names"]["plural"]
    version = f"/apis/{spec['group']}/{spec['versions'][0]['name']}"
    is_listed = any(one["name"] == spec["group"] for one in api.get("/apis")["groups"])
    kinds = (api.find(version) or {}).get("resources", ())
    is_known = is_listed and any(one["name"] == plural for one in kinds)
    return is_known and _is_kept(api, f"{version}/{plural}")


def _is_kept(api: Api, path: str) -> bool:
    """Whether there is somewhere for objects of a kind to be: that comes last."""
    try:
        return api.find(path) is not None
    except ApiError as error:
        if error.status != http.client.TOO_MANY_REQUESTS:
            raise
        return False
