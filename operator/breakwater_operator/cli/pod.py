"""One pod as a process of this machine: what its volumes hold, its variables, its settings."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from breakwater_contract.names import CONFIG_DIRECTORY
from breakwater_operator.api.errors import Fault, SpecError
from breakwater_operator.api.models import McpServer
from breakwater_operator.cli.localise import Content, localised, localised_json
from breakwater_operator.cli.machine import Machine
from breakwater_operator.cli.manifests import LOCAL_UID, Manifests
from breakwater_operator.cli.sidecar import PREFIX, Sidecar, sidecar
from breakwater_operator.render import containers
from breakwater_operator.render.manifest import Manifest
from breakwater_operator.render.pod import CONTAINER

LOOPBACK = "127.0.0.1"
SHARED_FOLDERS = ("/tmp",)  # noqa: S108 (a folder that this machine has as well)


@dataclass(frozen=True)
class Pod:
    """What a pod of a server gets, with paths as they are in the pod."""

    config: str
    """The settings file."""
    files: Mapping[str, Content]
    """Volumes that Kubernetes fills, by the folder at which they appear."""
    folders: Mapping[str, str]
    """Volumes that the server fills: their names by folder."""
    scratch: Mapping[str, str]
    """Volumes of ours that are empty at the start, likewise."""
    variables: Mapping[str, str]
    """Environment variables."""
    sidecars: tuple[Sidecar, ...] = ()
    """The other containers."""

    @property
    def settings(self) -> dict[str, Any]:
        """What the settings file says."""
        folder, _, name = self.config.rpartition("/")
        found: dict[str, Any] = json.loads(self.files[folder][name])
        return found

    def with_json(self, path: str, content: object) -> "Pod":
        """Put other content into a file."""
        folder, _, name = path.rpartition("/")
        text = json.dumps(content, sort_keys=True).encode()
        changed = {**self.files[folder], name: text}
        return replace(self, files={**self.files, folder: changed})

    def localised(self, local: Mapping[str, Path]) -> "Pod":
        """Name the folders of this machine wherever settings or variables name those of the pod."""
        settings = {
            name: localised_json(content, local)
            for name, content in self.files[CONFIG_DIRECTORY].items()
        }
        variables = {name: localised(value, local) for name, value in self.variables.items()}
        files = {**self.files, CONFIG_DIRECTORY: settings}
        return replace(self, files=files, variables=variables)


class _Volumes(NamedTuple):
    """What a container sees of a pod's volumes, by folder."""

    files: dict[str, Content]
    folders: dict[str, str]
    scratch: dict[str, str]


def pod(
    server: McpServer, rendered: Iterable[Manifest], manifests: Manifests, machine: Machine
) -> Pod:
    """Take from the rendered children what the runtime's process needs.

    Raises:
        SpecError: The pod needs something that is not among the manifests, or cannot be had here.
    """
    found = list(rendered)
    template = next(it for it in found if it["kind"] == "Deployment")["spec"]["template"]
    return _Pods(server, template, Manifests((*found, *manifests.objects)), machine).pod()


class _Pods:
    """Resolves one template."""

    def __init__(
        self, server: McpServer, template: Manifest, objects: Manifests, machine: Machine
    ) -> None:
        self._server = server
        self._template = template
        self._objects = objects
        self._machine = machine
        self._volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        self._ours = {volume["name"] for volume in containers.volumes(server)}

    def pod(self) -> Pod:
        spec = self._template["spec"]
        container = next(it for it in spec["containers"] if it["name"] == CONTAINER)
        mounts = [it for it in container["volumeMounts"] if it["mountPath"] not in SHARED_FOLDERS]
        files, folders, scratch = self._seen(mounts)
        config = container["args"][container["args"].index("--config") + 1]
        variables = self._variables(container.get("env", ()))
        sidecars = tuple(map(self._sidecar, self._others(spec)))
        return Pod(config, files, folders, scratch, variables, sidecars)

    def _others(self, spec: Manifest) -> Iterator[Manifest]:
        """Yield the containers of backends; the one that brings the helper is not needed here."""
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            if container["name"].startswith(PREFIX):
                yield container

    def _sidecar(self, container: Manifest) -> Sidecar:
        mounts = [
            it
            for it in container["volumeMounts"]
            if it["mountPath"] not in {containers.HELPER_PATH, containers.SOCKET_PATH}
        ]
        files, folders, scratch = self._seen(mounts)
        name = container["name"].removeprefix(PREFIX)
        listening = {
            it.name for it in self._server.spec.backends if it.container and it.container.port
        }
        made = Sidecar(
            name=name,
            words=(),
            options=None,
            variables=self._variables(container.get("env", ())),
            files=files,
            folders=folders,
            scratch=scratch,
            listens=name in listening,
            image=None,
        )
        return sidecar(container, made, self._machine)

    def _seen(self, mounts: Iterable[Manifest]) -> _Volumes:
        seen = _Volumes({}, {}, {})
        for mount in mounts:
            path, volume = mount["mountPath"], self._volumes[mount["name"]]
            below = mount.get("subPath", "")
            content = self._content(volume)
            if content is not None:
                seen.files[path] = _below(content, mount.get("subPath"))
            elif volume["name"] in self._ours:
                seen.scratch[path] = below or volume["name"]
            else:
                seen.folders[path] = f"{self._folder(volume)}/{below}".rstrip("/")
        return seen

    def _folder(self, volume: Manifest) -> str:
        claim = volume.get("persistentVolumeClaim")
        return str(claim["claimName"]) if claim else str(volume["name"])

    def _content(self, volume: Manifest) -> Content | None:
        """Get what Kubernetes would put in a volume; None where the server does so itself."""
        if "emptyDir" in volume or "persistentVolumeClaim" in volume:
            return None
        if "projected" in volume:
            content: dict[str, bytes] = {}
            for source in volume["projected"]["sources"]:
                content |= self._source(source, f"spec.pod.volumes[{volume['name']}]")
            return content
        return self._source(volume, f"spec.pod.volumes[{volume['name']}]")

    def _source(self, source: Manifest, where: str) -> Content:
        if (wanted := source.get("configMap")) is not None:
            return self._items("ConfigMap", wanted["name"], wanted, where)
        if (wanted := source.get("secret")) is not None:
            name = wanted.get("secretName") or wanted["name"]
            return self._items("Secret", name, wanted, where)
        if (wanted := source.get("downwardAPI")) is not None:
            return {
                item["path"]: self._field(item["fieldRef"]["fieldPath"], where).encode()
                for item in wanted["items"]
            }
        raise _missing(where, "is of a kind that only a cluster has; leave it out here")

    def _items(self, kind: str, name: str, wanted: Manifest, where: str) -> Content:
        content = self._data(kind, name)
        if content is None:
            if wanted.get("optional"):
                return {}
            raise _absent(where, kind, self._server.namespace, name)
        items = wanted.get("items")
        if not items:
            return content
        lost = [it["key"] for it in items if it["key"] not in content]
        if lost and not wanted.get("optional"):
            raise _missing(where, f"{kind} {name} has no {', '.join(lost)}; add it")
        return {it["path"]: content[it["key"]] for it in items if it["key"] in content}

    def _data(self, kind: str, name: str) -> Content | None:
        found = self._objects.find(kind, self._server.namespace, name)
        if found is None:
            return None
        data = found.get("data") or {}
        if kind == "Secret":
            return {key: base64.b64decode(value) for key, value in data.items()}
        binary = {key: base64.b64decode(it) for key, it in (found.get("binaryData") or {}).items()}
        return {key: str(value).encode() for key, value in data.items()} | binary

    def _field(self, path: str, where: str) -> str:
        """Get what a field of the pod would say."""
        metadata = self._template["metadata"]
        if match := re.fullmatch(r"metadata\.(annotations|labels)\['(.+)'\]", path):
            return str((metadata.get(match[1]) or {}).get(match[2], ""))
        known = {
            "metadata.name": f"{self._server.name}-local",
            "metadata.namespace": self._server.namespace,
            "metadata.uid": LOCAL_UID,
            "spec.nodeName": "local",
            "spec.serviceAccountName": self._server.name,
            "status.hostIP": LOOPBACK,
            "status.podIP": LOOPBACK,
        }
        if path not in known:
            raise _missing(where, f"{path} of a pod is nothing here; leave it out")
        return known[path]

    def _variables(self, env: Iterable[Manifest]) -> dict[str, str]:
        found: dict[str, str] = {}
        for variable in env:
            value = self._value(variable)
            if value is not None:
                found[variable["name"]] = _expanded(value, found)
        return found

    def _value(self, variable: Manifest) -> str | None:
        source = variable.get("valueFrom")
        if source is None:
            return str(variable.get("value", ""))
        where = f"env[{variable['name']}]"
        if (field := source.get("fieldRef")) is not None:
            return self._field(field["fieldPath"], where)
        for kind, member in (("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")):
            if (wanted := source.get(member)) is not None:
                return self._entry(kind, wanted, where)
        raise _missing(where, "takes its value from what only a cluster has; leave it out here")

    def _entry(self, kind: str, wanted: Manifest, where: str) -> str | None:
        content = self._data(kind, wanted["name"])
        if content is not None and wanted["key"] in content:
            value = content[wanted["key"]].decode(errors="replace")
            if "\0" in value:
                message = f"{kind} {wanted['name']}: {wanted['key']} has the character NUL, which"
                raise _missing(where, f"{message} no variable can hold; mount it as a file")
            return value
        if wanted.get("optional"):
            return None
        if content is None:
            raise _absent(where, kind, self._server.namespace, wanted["name"])
        raise _missing(where, f"{kind} {wanted['name']} has no {wanted['key']}; add it")


def _below(content: Content, sub_path: str | None) -> Content:
    """Show only what lies in one folder of a volume."""
    if sub_path is None:
        return content
    start = f"{sub_path}/"
    return {name.removeprefix(start): it for name, it in content.items() if name.startswith(start)}


def _expanded(value: str, known: Mapping[str, str]) -> str:
    """Put in the values of variables further up, as kubelet does."""

    def chosen(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return known.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)", chosen, value)


def _absent(where: str, kind: str, namespace: str, name: str) -> SpecError:
    return _missing(
        where, f"{kind} {namespace}/{name} is not there; put it into a file that you name as well"
    )


def _missing(where: str, message: str) -> SpecError:
    return SpecError([Fault(where, message)])
