"""Everything that is rendered, as scanners see it: valid, and without a finding nobody answers.

What is found and stays is listed with its reason in docs/reference/scans.md, and read from there.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dev import golden
from dev.cluster import build
from dev.cluster.local import LocalCluster
from dev.cluster.settings import Settings
from tests.support import scans

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
LISTED = ROOT / "docs/reference/scans.md"
CHART = ROOT / "charts/breakwater"
CRD = ROOT / "crds/breakwater.dev_mcpservers.yaml"
OLDEST, NEWEST = "1.31.0", "1.37.0"

INSTALLATIONS = {"chart": (), "chart-namespaced": ("--set", "watchNamespaces={team-a}")}


@dataclass(frozen=True)
class Rendered:
    """A folder with a file for each golden server and each way to install the operator."""

    folder: Path

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.yaml"))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    folder = tmp_path_factory.mktemp("rendered")
    for case in golden.cases(ROOT):
        scans.written(folder, Path(case.path).name, case.children())
    helm = LocalCluster(Settings.from_environment(), "scans").program(build.HELM) / "helm"
    for name, options in INSTALLATIONS.items():
        command = [
            *(str(helm), "template", "breakwater", str(CHART), "--namespace", "breakwater-system"),
            *("--kube-version", OLDEST, "--set", "image.registry=registry.example/team", *options),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        (folder / f"{name}.yaml").write_text(done.stdout)
    return Rendered(folder)


def definitions() -> list[Any]:
    """Our own kind, and those that other projects make."""
    files = [CRD, *sorted((ROOT / "tests/support/kinds").glob("*.yaml"))]
    return [yaml.safe_load(file.read_text()) for file in files]


def listed(tool: str) -> set[str]:
    """The checks whose findings stay, by the table of the reference."""
    rows = [line.split("|") for line in LISTED.read_text().splitlines() if line.startswith("| ")]
    found = [[cell.strip().strip("`") for cell in row[1:-1]] for row in rows]
    return {check for name, check, _, reason in found if name == tool and reason}


def held(tool: str, findings: Iterable[scans.Finding]) -> None:
    found = sorted(findings)
    assert [one for one in found if one.check not in listed(tool)] == []
    assert listed(tool) <= {one.check for one in found}, "listed, and no longer found"


@pytest.mark.requirement("K9")
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_everything_is_valid_for_the_oldest_and_the_newest_kubernetes(
    rendered: Rendered, tmp_path: Path, version: str
) -> None:
    schemas = scans.schemas(tmp_path / "schemas", version, definitions())
    golden_servers = sorted((ROOT / golden.FOLDER).glob("*/mcpserver.yaml"))
    files = [*rendered.files, *golden_servers]

    assert scans.kubeconform(files, schemas) == []


def test_a_field_that_nobody_knows_is_found(tmp_path: Path) -> None:
    schemas = scans.schemas(tmp_path / "schemas", NEWEST, definitions())
    metadata = {"name": "x", "namespace": "default"}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}
    server = {"apiVersion": "breakwater.dev/v1alpha1", "kind": "McpServer", "metadata": metadata}
    backends = [{"python": {"server": "a:b"}}]
    wrong = [
        service | {"spec": {"ports": [{"port": "http"}]}},
        service | {"spec": {"port": 80}},
        server | {"spec": {"backends": backends, "replica": 2}},
    ]
    file = scans.written(tmp_path, "wrong", wrong)

    found = scans.kubeconform([file], schemas)

    assert [one.check for one in found] == ["statusInvalid"] * len(wrong)


@pytest.mark.requirement("K9")
def test_kube_score_finds_nothing_that_is_not_answered(rendered: Rendered) -> None:
    held("kube-score", scans.kube_score(rendered.files))


@pytest.mark.requirement("K9")
def test_checkov_finds_nothing_that_is_not_answered(rendered: Rendered) -> None:
    held("checkov", scans.checkov(rendered.folder))
