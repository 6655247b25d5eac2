"""Kinds that are new to a cluster, and when all of it knows them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import yaml

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
    return is_known and api.find(f"{version}/{plural}") is not None
