"""Manifests in files: the McpServers, and the objects that they refer to."""

import base64
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from pydantic import Field

from breakwater_contract.model import Model
from breakwater_contract.names import API_GROUP
from breakwater_operator.api import parse as reading
from breakwater_operator.api.documents import DocumentError, load
from breakwater_operator.api.errors import Fault, SpecError
from breakwater_operator.api.fields import DnsLabel
from breakwater_operator.api.labels import AnnotationKey, LabelKey, LabelValue
from breakwater_operator.api.models import McpServer
from breakwater_operator.cli.shapes import misshapen

Object = dict[str, Any]

SERVER = "McpServer"
API_VERSION = f"{API_GROUP}/v1alpha1"
SERVER_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
READ_KINDS = (SERVER, "Secret", "ConfigMap", "PersistentVolumeClaim")

STANDARD_INPUT = "-"
"""The file that is none."""

DEFAULT_NAMESPACE = "default"
LOCAL_UID = "local"
"""Takes the place of the uid that an API server would have given."""


class Metadata(Model):
    """What Kubernetes takes as metadata; what no user writes, whatever it is."""

    name: str
    namespace: DnsLabel = DEFAULT_NAMESPACE
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    annotations: dict[AnnotationKey, str] = Field(default_factory=dict)
    uid: str = LOCAL_UID
    generation: int = 0
    resource_version: str = ""
    generate_name: Any = None
    creation_timestamp: Any = None
    deletion_timestamp: Any = None
    deletion_grace_period_seconds: Any = None
    finalizers: Any = None
    owner_references: Any = None
    managed_fields: Any = None
    self_link: Any = None


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
        found = [it for it in self.servers if name in {None, it["metadata"].get("name"), _full(it)}]
        if len(found) == 1:
            return found[0]
        names = ", ".join(map(self.label, self.servers))
        if not self.servers:
            others = ", ".join(sorted({it["kind"] for it in self.objects}))
            besides = f" but {others}" if others else ""
            message = f"has no McpServer{besides}; write one with apiVersion: {API_VERSION}"
        elif len(set(map(_full, found))) > 1:
            message = f"has several McpServers; choose one of {names} with --server"
        elif found:
            message = f"has the McpServer {_full(found[0])} more than once; keep one of them"
        else:
            message = f"has no McpServer {name}; there are {names}"
        raise SpecError([Fault("the file", message)])

    def label(self, server: Object) -> str:
        """Name an McpServer, with its namespace where servers of others have the same name."""
        name = server["metadata"].get("name") or "McpServer without a name"
        alike = {_full(it) for it in self.servers if it["metadata"].get("name") == name}
        return _full(server) if len(alike) > 1 else name

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
            if it["kind"] not in READ_KINDS:
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
    if len(found) != 1 or not isinstance(found[0][1], dict):
        raise _fault(file, "is not one YAML document with fields")
    return found[0][1]


def parse(manifest: Object) -> McpServer:
    """Read an McpServer as the API server would.

    Raises:
        SpecError: With every fault.
    """
    faults = []
    if manifest.get("apiVersion") != API_VERSION:
        found = repr(manifest["apiVersion"]) if "apiVersion" in manifest else "none"
        faults.append(Fault("apiVersion", f"found {found}; accepted: {API_VERSION}"))
    faults += [
        Fault(name, "is not a field here; remove it or correct its name")
        for name in manifest
        if name not in SERVER_FIELDS
    ]
    metadata = manifest["metadata"]
    try:
        reading.parse(Metadata, metadata, "metadata")
    except SpecError as error:
        faults += error.faults
    if not isinstance(manifest.get("spec", {}), Mapping):
        faults.append(Fault("spec", "is not an object; write its fields below it"))
    if faults:
        raise SpecError(faults)
    known = {"namespace": DEFAULT_NAMESPACE, "uid": LOCAL_UID}
    return McpServer.parse({**manifest, "metadata": {**known, **metadata, "generation": 0}})


def _load(file: Path) -> list[tuple[int, Any]]:
    # So Python says that there is no standard input at all.
    if str(file) == STANDARD_INPUT and sys.stdin is None:
        raise _fault(file, "is closed; write manifests to it, or name a file")
    try:
        with click.open_file(str(file), "rb") as opened:
            return load(opened.read())
    except IsADirectoryError as error:
        raise _fault(file, f"is a folder; name its files, as in {file}/*.yaml") from error
    except OSError as error:
        raise _fault(file, f"cannot be read: {error.strerror}") from error
    except DocumentError as error:
        raise _fault(file, str(error), error.line) from error


def _documents(file: Path) -> Iterator[Object]:
    for line, document in _load(file):
        if document is not None:
            yield from _objects(file, line, document)


def _objects(file: Path, line: int, document: Any) -> Iterator[Object]:
    document = _without_nulls(document)
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        message = "has a document without a kind; write apiVersion, kind and metadata"
        raise _fault(file, message, line)
    kind, items = document["kind"], document.get("items")
    # To kubectl it is the items that make a list, as those of an McpServerList do.
    if isinstance(items, list):
        for item in items:
            yield from _objects(file, line, item)
        return
    if kind == "List" and items is not None:
        message = "has a List whose items are no list; write them below it, each after -"
        raise _fault(file, message, line)
    if kind not in READ_KINDS:
        metadata = document.get("metadata")
        yield {**document, "metadata": metadata if isinstance(metadata, dict) else {}}
        return
    if not isinstance(document.get("metadata"), dict):
        raise _fault(file, f"has a {kind} without metadata; give it a name", line)
    if faults := list(misshapen(document)):
        what = f"{kind} {document['metadata'].get('name', '')}".strip()
        raise SpecError(Fault(_place(file, line), f"{what}: {fault}") for fault in faults)
    yield _with_data(document) if kind == "Secret" else document


def _without_nulls(value: Any) -> Any:
    """Leave out the fields that are null, as the API server does where null means nothing."""
    match value:
        case dict():
            return {key: _without_nulls(it) for key, it in value.items() if it is not None}
        case list():
            return [_without_nulls(it) for it in value]
    return value


def _with_data(secret: Object) -> Object:
    """Write a Secret as the API server keeps it: everything under `data`, as base64."""
    written = secret.get("stringData") or {}
    plain = {key: base64.b64encode(value.encode()).decode() for key, value in written.items()}
    return {**secret, "data": {**(secret.get("data") or {}), **plain}}


def _fault(file: Path, message: str, line: int | None = None) -> SpecError:
    return SpecError([Fault(_place(file, line), message)])


def _full(server: Object) -> str:
    metadata = server["metadata"]
    return f"{metadata.get('namespace', DEFAULT_NAMESPACE)}/{metadata.get('name', '')}"


def _place(file: Path, line: int | None) -> str:
    """Name a place as editors know it."""
    name = "standard input" if str(file) == STANDARD_INPUT else str(file)
    return name if line is None else f"{name}:{line}"
