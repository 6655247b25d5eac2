"""Manifests in files: the McpServers, and the objects that they refer to."""

import base64
import binascii
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from breakwater_contract.names import API_GROUP
from breakwater_operator.api.errors import Fault, SpecError
from breakwater_operator.api.models import McpServer

Object = dict[str, Any]

SERVER = "McpServer"
API_VERSION = f"{API_GROUP}/v1alpha1"
SERVER_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")

DEFAULT_NAMESPACE = "default"
LOCAL_UID = "local"
"""Takes the place of the uid that an API server would have given."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that occurs twice, as kubectl does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen and key.value != "<<":
                line = key.start_mark.line + 1
                raise yaml.YAMLError(f"line {line}: {key.value} is written twice in one object")
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


@dataclass(frozen=True)
class Manifests:
    """What some files hold."""

    objects: tuple[Object, ...]

    @property
    def servers(self) -> tuple[Object, ...]:
        """The McpServers."""
        return tuple(it for it in self.objects if it["kind"] == SERVER)

    def server(self, name: str | None) -> Object:
        """Choose an McpServer.

        Raises:
            SpecError: There is none of this name, or several and no name.
        """
        found = [it for it in self.servers if name in {None, it["metadata"].get("name")}]
        if len(found) == 1:
            return found[0]
        names = ", ".join(str(it["metadata"].get("name")) for it in self.servers)
        if not self.servers:
            message = f"has no McpServer; write one with apiVersion: {API_VERSION}"
        elif found:
            message = f"has several McpServers; choose one of {names} with --server"
        else:
            message = f"has no McpServer {name}; there are {names}"
        raise SpecError([Fault("the file", message)])

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        """Get an object that an McpServer of a namespace refers to."""
        for it in self.objects:
            metadata = it["metadata"]
            where = metadata.get("namespace", namespace)
            if (it["kind"], metadata.get("name"), where) == (kind, name, namespace):
                return it
        return None

    def unused(self) -> Iterator[str]:
        """Name the objects that nobody looks at here."""
        for it in self.objects:
            if it["kind"] not in {SERVER, "Secret", "ConfigMap", "PersistentVolumeClaim"}:
                yield f"{it['kind']} {it['metadata'].get('name', '')}".strip()


def read(files: Iterable[Path]) -> Manifests:
    """Read every document of some files.

    Raises:
        SpecError: With every fault, each with its file.
    """
    objects: list[Object] = []
    faults: list[Fault] = []
    for file in files:
        try:
            found = list(_documents(file))
        except SpecError as error:
            faults += error.faults
        else:
            objects += found
    if faults:
        raise SpecError(faults)
    return Manifests(tuple(objects))


def mapping(file: Path) -> Object:
    """Read a file with one document that has fields.

    Raises:
        SpecError: It is something else.
    """
    found = _load(file)
    if len(found) != 1 or not isinstance(found[0], dict):
        raise _fault(file, "is not one YAML document with fields")
    return found[0]


def parse(manifest: Object) -> McpServer:
    """Read an McpServer as the API server would.

    Raises:
        SpecError: With every fault.
    """
    faults = []
    if manifest.get("apiVersion") != API_VERSION:
        found = manifest.get("apiVersion")
        faults.append(Fault("apiVersion", f"found {found!r}; accepted: {API_VERSION}"))
    faults += [
        Fault(name, "is not a field here; remove it or correct its name")
        for name in manifest
        if name not in SERVER_FIELDS
    ]
    metadata = manifest["metadata"]
    if not isinstance(metadata.get("name"), str):
        faults.append(Fault("metadata.name", "is missing; give the server a name"))
    if not isinstance(manifest.get("spec", {}) or {}, Mapping):
        faults.append(Fault("spec", "is not an object; write its fields below it"))
    if faults:
        raise SpecError(faults)
    known = {"namespace": DEFAULT_NAMESPACE, "uid": LOCAL_UID, "generation": 0}
    return McpServer.parse({**manifest, "metadata": known | metadata})


def _load(file: Path) -> list[Any]:
    try:
        return list(yaml.load_all(file.read_bytes(), Loader=_Loader))
    except OSError as error:
        raise _fault(file, f"cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _fault(file, f"is not YAML: {' '.join(str(error).split())}") from error


def _documents(file: Path) -> Iterator[Object]:
    for document in _load(file):
        if document is not None:
            yield from _objects(file, document)


def _objects(file: Path, document: Any) -> Iterator[Object]:
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        raise _fault(file, "has a document without a kind; write apiVersion, kind and metadata")
    if document["kind"] == "List":
        for item in document.get("items") or ():
            yield from _objects(file, item)
        return
    if not isinstance(document.get("metadata"), dict):
        raise _fault(file, f"has a {document['kind']} without metadata; give it a name")
    yield _with_data(file, document) if document["kind"] == "Secret" else document


def _with_data(file: Path, secret: Object) -> Object:
    """Write a Secret as the API server keeps it: everything under `data`, as base64."""
    name = secret["metadata"].get("name")
    data = dict(secret.get("data") or {})
    for key, value in data.items():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise _fault(file, f"Secret {name}: data.{key} is not base64") from error
    for key, value in (secret.get("stringData") or {}).items():
        if not isinstance(value, str):
            raise _fault(file, f"Secret {name}: stringData.{key} is not text; put it in quotes")
        data[key] = base64.b64encode(value.encode()).decode()
    return {**secret, "data": data}


def _fault(file: Path, message: str) -> SpecError:
    return SpecError([Fault(str(file), message)])
