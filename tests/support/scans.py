"""Scanners of manifests: got by the project's own files, run on files, their findings read."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from dev.cluster import build
from dev.cluster.local import LocalCluster
from dev.cluster.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ENVIRONMENT = ROOT / "build/scan"
"""Where the scanners written in Python are: their own environment, since they pin much of what
development uses in other versions."""

SCHEMAS = "kubernetes_validate/kubernetes-json-schema"
DEFINITIONS = "_definitions.json"
SCORE_OK = 10

Object = dict[str, Any]


@dataclass(frozen=True, order=True)
class Finding:
    """One objection to one object."""

    tool: str
    check: str
    where: str
    """The object, and the file it is in."""
    says: str


def folder_of_programs() -> Path:
    """Build kubeconform and kube-score, once per content, and say where they are."""
    return LocalCluster(Settings.from_environment(), "scanners").program(build.SCANNERS)


def environment() -> Path:
    """Install checkov and the schemas of Kubernetes, and say where; a moment once they are there.

    Raises:
        subprocess.CalledProcessError: They cannot be had; uv has said why.
    """
    python = ENVIRONMENT / "bin/python"
    uv = str(BIN / "uv")
    if not python.exists():
        venv = [uv, "venv", "--quiet", "--python", sys.executable, str(ENVIRONMENT)]
        subprocess.run(venv, check=True)
    lock = str(ROOT / "requirements/scan.txt")
    sync = [uv, "pip", "sync", "--quiet", "--require-hashes", lock, "--python", str(python)]
    subprocess.run(sync, check=True)
    return ENVIRONMENT


def schemas(folder: Path, version: str, custom: Iterable[Object]) -> Path:
    """Write a schema for each kind of one version of Kubernetes, and for custom ones.

    Args:
        folder: Where to.
        version: As in `1.36.0`.
        custom: CustomResourceDefinitions.
    """
    (source,) = environment().glob(f"lib/python3*/site-packages/{SCHEMAS}/v{version}-local-strict")
    folder.mkdir()
    shutil.copy(source / DEFINITIONS, folder)
    definitions = f"file://{folder / DEFINITIONS}"
    for path in source.glob("*-v*.json"):
        text = path.read_text().replace(f"/api/{DEFINITIONS}", definitions)
        (folder / path.name).write_text(text)
    for definition in custom:
        spec = definition["spec"]
        kind, group = spec["names"]["kind"].lower(), spec["group"].partition(".")[0]
        for one in spec["versions"]:
            schema = json.dumps(_strict(one["schema"]["openAPIV3Schema"]))
            (folder / f"{kind}-{group}-{one['name']}.json").write_text(schema)
    return folder


def _strict(schema: Any) -> Any:
    """Refuse what a structural schema does not name, as strict field validation does."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _strict(value) for key, value in schema.items()}
    if isinstance(found.get("properties"), dict) and found.get("type") == "object":
        is_root = "spec" in found["properties"]
        found["additionalProperties"] = is_root
    return found


def kubeconform(files: Iterable[Path], folder: Path) -> list[Finding]:
    """Hold manifests to schemas."""
    command = [
        *(str(folder_of_programs() / "kubeconform"), "-strict", "-output", "json"),
        *("-schema-location", f"{folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"),
        *map(str, files),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [
        Finding("kubeconform", one["status"], _at(one["filename"], one["kind"]), one["msg"])
        for one in json.loads(done.stdout)["resources"]
        if one["status"] not in {"statusValid", "statusSkipped"}
    ]


def kube_score(files: Iterable[Path]) -> Iterator[Finding]:
    """Look at pods and what belongs to them: each file is one server."""
    program = str(folder_of_programs() / "kube-score")
    for file in files:
        command = [program, "score", "--output-format", "json", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        for scored in json.loads(done.stdout):
            for check in scored["checks"]:
                if not check["skipped"] and check["grade"] < SCORE_OK:
                    says = "; ".join(one["summary"] for one in check["comments"] or ())
                    where = _at(file, scored["type_meta"]["kind"])
                    yield Finding("kube-score", check["check"]["id"], where, says)


def checkov(folder: Path) -> Iterator[Finding]:
    """Look for what is insecure in a folder of manifests, without asking anybody outside."""
    command = [
        *(str(environment() / "bin/checkov"), "--directory", str(folder), "--framework"),
        *("kubernetes", "--compact", "--quiet", "--skip-download", "--output", "json"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout)
    if not answer["summary"]["resource_count"] or answer["summary"]["parsing_errors"]:
        raise AssertionError(f"checkov read nothing of {folder}: {answer['summary']}")
    for one in answer["results"]["failed_checks"]:
        kind = one["resource"].partition(".")[0]
        yield Finding("checkov", one["check_id"], _at(one["file_path"], kind), one["check_name"])


def _at(file: object, kind: str) -> str:
    return f"{kind} of {Path(str(file)).stem}"


def written(folder: Path, name: str, objects: Iterable[Mapping[str, Any]]) -> Path:
    """Write manifests to a file."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump_all([dict(one) for one in objects]))
    return path
