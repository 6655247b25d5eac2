"""Manifests in files: the McpServers, and the objects that they refer to."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from breakwater_contract.names import API_GROUP
from breakwater_operator.api.errors import Fault, SpecError
from breakwater_operator.api.models import McpServer
from breakwater_operator.cli.documents import load, misshapen

Object = dict[str, Any]

SERVER = "McpServer"
API_VERSION = f"{API_GROUP}/v1alpha1"
SERVER_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")

DEFAULT_NAMESPACE = "default"
LOCAL_UID = "local"
"""Takes the place of the uid that an API server would have given."""


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
    known = {"namespace": DEFAULT_NAMESPACE, "uid": LOCAL_UID}
    return McpServer.parse({**manifest, "metadata": {**known, **metadata, "generation": 0}})


def _load(file: Path) -> list[Any]:
    try:
        return load(file.read_bytes())
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
        items = document.get("items") or []
        if not isinstance(items, list):
            raise _fault(
                file, "has a List whose items are no list; write them below it, each after -"
            )
        for item in items:
            yield from _objects(file, item)
        return
    if not isinstance(document.get("metadata"), dict):
        raise _fault(file, f"has a {document['kind']} without metadata; give it a name")
    if faults := list(misshapen(document)):
        what = f"{document['kind']} {document['metadata'].get('name', '')}".strip()
        raise SpecError(Fault(str(file), f"{what}: {fault}") for fault in faults)
    yield _with_data(document) if document["kind"] == "Secret" else document


def _with_data(secret: Object) -> Object:
    """Write a Secret as the API server keeps it: everything under `data`, as base64."""
    written = secret.get("stringData") or {}
    plain = {key: base64.b64encode(value.encode()).decode() for key, value in written.items()}
    return {**secret, "data": {**(secret.get("data") or {}), **plain}}


def _fault(file: Path, message: str) -> SpecError:
    return SpecError([Fault(str(file), message)])
