"""What the pages say of files and manifests is so."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from breakwater_operator.api.models import McpServer
from breakwater_runtime.http import keys

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
YAML = re.compile(r"^```ya?ml\n(.*?)^```", re.DOTALL | re.MULTILINE)
METADATA = {"namespace": "docs", "uid": "1"}


def manifests() -> Iterator[Any]:
    for page in PAGES:
        for number, block in enumerate(YAML.findall(page.read_text("utf-8"))):
            for one in yaml.safe_load_all(block):
                if isinstance(one, dict) and "kind" in one:
                    name = f"{page.relative_to(ROOT)}:{number}:{one['kind']}"
                    yield pytest.param(one, id=name)


MANIFESTS = list(manifests())

OTHER_PARTS = ("live", "volumes")
"""What parts of something else have: the runtime's own settings, the pod of a workload."""


def parts() -> Iterator[Any]:
    """Specs of servers around the parts of manifests that pages show."""
    for page in PAGES:
        for number, block in enumerate(YAML.findall(page.read_text("utf-8"))):
            shown = next(yaml.safe_load_all(block))
            if "kind" in shown or any(name in shown for name in OTHER_PARTS):
                continue
            more = {"backends": shown} if isinstance(shown, list) else shown.get("spec", shown)
            spec = {"backends": [{"python": {"server": "a:b"}}]} | more
            yield pytest.param(spec, id=f"{page.relative_to(ROOT)}:{number}")


def of_kind(kind: str) -> list[Any]:
    return [one for one in MANIFESTS if one.values[0]["kind"] == kind]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]

    broken = [link for link in links if not (page.parent / link).exists()]

    assert broken == []


def test_the_index_lists_every_page() -> None:
    listed = set(LINK.findall((DOCS / "README.md").read_text("utf-8")))

    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")} - {"README.md"}
    assert pages - listed == set()


@pytest.mark.parametrize("manifest", of_kind("McpServer"))
def test_every_mcpserver_on_a_page_is_accepted(manifest: dict[str, Any]) -> None:
    metadata = METADATA | manifest["metadata"]

    server = McpServer.parse(manifest | {"metadata": metadata})

    assert server.spec.backends


@pytest.mark.parametrize("spec", list(parts()))
def test_every_part_of_an_mcpserver_on_a_page_is_accepted(spec: dict[str, Any]) -> None:
    metadata = METADATA | {"name": "part"}

    server = McpServer.parse({"metadata": metadata, "spec": spec})

    assert server.spec.backends


@pytest.mark.parametrize("manifest", of_kind("Secret"))
def test_the_runtime_accepts_every_key_secret_on_a_page(manifest: dict[str, Any]) -> None:
    files = {name: value.encode() for name, value in manifest["stringData"].items()}

    ring, faults = keys.parse(files)

    assert (len(ring) > 0, faults) == (True, [])
