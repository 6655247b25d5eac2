"""What `breakwater dev` makes of manifests: what runs, what is refused, what has no effect."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from breakwater_contract.settings import LiveSettings, RuntimeSettings
from breakwater_operator.api.errors import BreakwaterError, SpecError
from breakwater_operator.api.platform import Platform
from breakwater_operator.cli.folder import Folder
from breakwater_operator.cli.machine import Machine
from breakwater_operator.cli.program import Place, Program, Secrets, program
from breakwater_operator.cli.sidecars import Sidecars
from breakwater_operator.cli.watched import watched

ROOT = Path(__file__).parents[4]
EXAMPLES = [
    file
    for file in sorted((ROOT / "examples").glob("**/*.yaml"))
    if "kind: McpServer" in file.read_text()
]
PLACE = Place(18080, 19464)
SECRETS = Secrets(bytes(32), bytes(range(32)), "admin")
MACHINE = Machine(path="", user=1000, group=1000, home="/home/me")
"""One without any program."""
PLATFORM = Platform.parse({"namespace": "x", "images": {"runtime": "breakwater-runtime:1"}})
CLIENTS = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "clients"},
    "stringData": {"alice": "alices-key", "token": "t0ken"},
}
FILES = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "files"},
    "data": {"a.txt": "A", "b.txt": "B"},
}


def server(python: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    backend = {"python": {"server": "weather.main:mcp", **(python or {})}}
    return {
        "apiVersion": "breakwater.dev/v1alpha1",
        "kind": "McpServer",
        "metadata": {"name": "weather"},
        "spec": {"backends": [backend], **spec},
    }


def made(folder: Path, *documents: Any, name: str | None = None) -> Program:
    file = folder / "mcpserver.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    return program([file], name, PLACE, SECRETS, PLATFORM, MACHINE)


def refused(folder: Path, *documents: Any, name: str | None = None) -> str:
    with pytest.raises(BreakwaterError) as raised:
        made(folder, *documents, name=name)
    return str(raised.value)


def env(name: str, **value: Any) -> dict[str, Any]:
    return {"env": [{"name": name, **value}]}


@pytest.mark.requirement("C3", "K8")
def test_the_settings_are_the_operators_on_loopback(tmp_path: Path) -> None:
    found = made(tmp_path, server())

    settings = RuntimeSettings.model_validate(found.pod.settings)
    assert (settings.server.name, settings.listen.host) == ("weather", "127.0.0.1")
    assert (settings.listen.public_port, settings.listen.management_port) == (18080, 19464)
    live = LiveSettings.model_validate(json.loads(found.pod.files["/etc/breakwater"]["live.json"]))
    assert live.sessions == "Auto"
    assert found.pod.files["/etc/breakwater-keys"]["default"].decode() == found.generated_key
    assert found.modules == ("weather",)


def test_keys_come_from_the_secret_in_the_file(tmp_path: Path) -> None:
    found = made(tmp_path, server(access={"keys": {"secretName": "clients"}}), CLIENTS)

    assert found.generated_key is None
    assert found.pod.files["/etc/breakwater-keys"]["alice"] == b"alices-key"


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ({"value": "plain"}, "plain"),
        ({"valueFrom": {"secretKeyRef": {"name": "clients", "key": "token"}}}, "t0ken"),
        ({"valueFrom": {"configMapKeyRef": {"name": "files", "key": "a.txt"}}}, "A"),
        (
            {"valueFrom": {"secretKeyRef": {"name": "none", "key": "x", "optional": True}}},
            None,
        ),
    ],
)
def test_variables_are_what_a_pod_would_have(
    tmp_path: Path, source: dict[str, Any], value: str | None
) -> None:
    found = made(tmp_path, server(env("TOKEN", **source)), CLIENTS, FILES)

    assert found.pod.variables.get("TOKEN") == value


def test_variables_may_name_those_further_up(tmp_path: Path) -> None:
    variables = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$$(A)$(C)"}]

    found = made(tmp_path, server({"env": variables}))

    assert found.pod.variables["B"] == "1$(A)$(C)"


def test_volumes_are_folders_here_wherever_a_variable_names_them(tmp_path: Path) -> None:
    volumes = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "files", "configMap": {"name": "files", "items": [{"key": "a.txt", "path": "x"}]}},
    ]
    mounts = [
        {"name": "data", "mountPath": "/data"},
        {"name": "files", "mountPath": "/files"},
    ]
    python = {"volumeMounts": mounts, **env("ROOT", value="/data/sub")}

    found = made(tmp_path, server(python, pod={"volumes": volumes}), FILES)

    assert found.pod.folders == {"/data": "claim"}
    assert found.pod.files["/files"] == {"x": b"A"}
    local = found.pod.localised({"/data": tmp_path / "d"})
    assert local.variables["ROOT"] == f"{tmp_path}/d/sub"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"replicas": 3}, "spec.replicas"),
        ({"suspend": True}, "spec.suspend"),
        ({"runtime": {"image": "registry.example/weather:1"}}, "spec.runtime.image"),
        (
            {"pod": {"resources": {"limits": {"memory": "1Gi"}}}},
            "spec.pod.resources.limits.memory",
        ),
    ],
)
def test_a_field_without_effect_is_named(tmp_path: Path, spec: dict[str, Any], field: str) -> None:
    (note,) = made(tmp_path, server(**spec)).notes

    assert note.startswith(f"{field} has no effect here: ")


def test_a_field_with_an_effect_is_not_named(tmp_path: Path) -> None:
    python = env("TOKEN", valueFrom={"secretKeyRef": {"name": "clients", "key": "token"}})

    found = made(tmp_path, server(python, access={"keys": {"secretName": "clients"}}), CLIENTS)

    assert found.notes == ()


def test_an_object_that_nobody_looks_at_is_named(tmp_path: Path) -> None:
    other = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}}

    assert made(tmp_path, server(), other).notes == ("Service x is not looked at here",)


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        pytest.param(
            [server(replicas=-1)], "spec.replicas: -1: Input should be greater", id="crd-refuses"
        ),
        pytest.param(
            [server({"env": [{"name": "A", "value": "1", "valueFrom": {}}]})],
            "spec.backends[0].python.env[A]",
            id="crd-rule",
        ),
        pytest.param([server(replica=1)], "spec.replica: is not a field here", id="unknown-field"),
        pytest.param(
            [server() | {"sepc": {}}], "sepc: is not a field here", id="unknown-field-at-the-top"
        ),
        pytest.param(
            [server() | {"apiVersion": "v1"}],
            "apiVersion: found 'v1'; accepted: breakwater.dev/v1alpha1",
            id="version",
        ),
        pytest.param([server() | {"metadata": {}}], "metadata.name: is missing", id="no-name"),
        pytest.param([server() | {"spec": None}], "spec.backends: is missing", id="no-spec"),
        pytest.param([server() | {"spec": [1]}], "spec: is not an object", id="spec-is-a-list"),
        pytest.param([CLIENTS], "has no McpServer but Secret; write one with", id="no-server"),
        pytest.param([server(), server()], "more than once; keep one of them", id="two-servers"),
        pytest.param(
            [server(access={"keys": {"secretName": "clients"}})],
            "Secret default/clients does not exist; create it or remove spec.access.keys",
            id="no-key-secret",
        ),
        pytest.param(
            [server(env("A", valueFrom={"secretKeyRef": {"name": "none", "key": "x"}}))],
            "env[A]: Secret default/none is not there; put it into a file",
            id="no-secret",
        ),
        pytest.param(
            [
                server(env("A", valueFrom={"secretKeyRef": {"name": "clients", "key": "x"}})),
                CLIENTS,
            ],
            "env[A]: Secret clients has no x; add it",
            id="no-entry",
        ),
        pytest.param(
            [
                server(env("A", valueFrom={"secretKeyRef": {"name": "clients", "key": "x"}})),
                {**CLIENTS, "data": {"x": "dDBrZW4A"}},
            ],
            "env[A]: Secret clients: x has the character NUL, which no variable can hold",
            id="nul",
        ),
        pytest.param(
            [server(), {**CLIENTS, "data": {"a": "not base64!"}}],
            "Secret clients: data.a is not base64",
            id="base64",
        ),
        pytest.param([server(), ["a"]], "has a document without a kind", id="not-an-object"),
    ],
)
def test_what_cannot_run_is_refused_with_what_to_do(
    tmp_path: Path, documents: list[Any], message: str
) -> None:
    said = refused(tmp_path, *documents)

    assert message in said
    assert "t0ken" not in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not YAML"),
        ("kind: A\nkind: B\nmetadata: {}\n", "yaml:2: is not YAML: kind is written twice in one"),
        ("kind: Secret\n", "has a Secret without metadata"),
        ("{kind: List, items: 5}", "has a List whose items are no list"),
        ("{kind: Secret, metadata: {name: 5}}", "Secret 5: metadata.name is not text"),
        ("{kind: McpServer, metadata: {namespace: 5}}", "metadata.namespace is not text"),
        ("{kind: Secret, metadata: {name: s}, stringData: 7.5}", "s: stringData is not an object"),
        ("{kind: Secret, metadata: {name: s}, data: {a: 'b c'}}", "s: data.a is not base64"),
        ("{kind: ConfigMap, metadata: {name: c}, data: {a: 5}}", "data.a is not text"),
        ("{kind: ConfigMap, metadata: {name: c}, data: {../a: b}}", "data has the entry '../a'"),
        ("{kind: PersistentVolumeClaim, metadata: {name: c}, spec: 5}", "spec is not an object"),
        (
            "{kind: PersistentVolumeClaim, metadata: {name: c}, spec: {accessModes: [5]}}",
            "spec.accessModes is not a list of texts",
        ),
    ],
)
def test_a_file_that_is_no_manifest_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(text)

    with pytest.raises(BreakwaterError, match=r"broken\.yaml:[12]: ") as raised:
        program([file], None, PLACE, SECRETS, PLATFORM, MACHINE)

    assert message in str(raised.value)


def test_a_change_says_whether_the_process_can_take_it_over(tmp_path: Path) -> None:
    keys = {"access": {"keys": {"secretName": "clients"}}}
    before = made(tmp_path, server(**keys), CLIENTS)

    other_keys = made(tmp_path, server(**keys), {**CLIENTS, "stringData": {"bob": "bobs-key"}})
    other_server = made(tmp_path, server({"server": "w.x:y"}, **keys), CLIENTS)
    other_image = made(tmp_path, server(**keys, runtime={"image": "a/b:1"}), CLIENTS)

    assert (other_keys.pod != before.pod, other_keys.replaces(before)) == (True, False)
    assert other_server.replaces(before)
    assert other_image.pod == before.pod


@pytest.mark.requirement("K8")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_runs_or_says_why_not(example: Path) -> None:
    objects = yaml.safe_load_all(example.read_text("utf-8"))
    servers = [one["metadata"]["name"] for one in objects if one["kind"] == "McpServer"]

    assert servers
    for server in servers:
        try:
            assert program([example], server, PLACE, SECRETS, PLATFORM, MACHINE).pod.settings[
                "backends"
            ]
        except BreakwaterError as error:
            assert "spec.backends" in str(error)  # noqa: PT017 - either of the two is right


EVERYTHING = ROOT / "tests/golden/everything/mcpserver.yaml"
COLLECTOR = {"monitoring": {"otlp": {"endpoint": "http://127.0.0.1:4318"}}}


@pytest.mark.requirement("A11")
@pytest.mark.parametrize("more", [{}, COLLECTOR], ids=["no-collector", "collector"])
def test_every_field_that_there_is_acts_or_is_named(more: dict[str, Any]) -> None:
    given = {"namespace": "x", "images": {"runtime": "r:1"}, "gateway": "a/b"}

    found = program([EVERYTHING], None, PLACE, SECRETS, Platform.parse(given | more), MACHINE)

    named = {note.partition(" ")[0] for note in found.notes}
    tracing = {"spec.monitoring.tracing.percent", "spec.monitoring.tracing.perSecond"}
    assert {"spec.autoscaling.scaleUp.period", "spec.pod.resources.limits.memory"} <= named
    assert named & tracing == (set() if more else tracing)
    acting = ("spec.limits", "spec.access.policies", "spec.access.jwt", "spec.monitoring.slow")
    assert not [each for each in named if each.startswith(acting)]
    live = json.loads(found.pod.files["/etc/breakwater"][found.live_file.rpartition("/")[2]])
    assert ("tracing" in live["monitoring"]) == bool(more)


def contained(**container: Any) -> dict[str, Any]:
    container = {"image": "registry.example/crm:1", **container}
    return server() | {"spec": {"backends": [{"name": "crm", "container": container}]}}


SILENT = """#!/bin/sh
echo "Client: 28.2"
echo "Cannot connect to the daemon" >&2
exit 1
"""
"""A client without its daemon."""


def machine(
    folder: Path, *programs: str, images: bool = False, silent: Sequence[str] = ()
) -> Machine:
    """Make a machine with some programs and no others, of which some are `silent`."""
    for name in (*programs, *silent):
        (folder / name).write_text(SILENT if name in silent else "#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return Machine(path=str(folder), user=1000, group=1000, home="/home/me", images=images)


def run_on(found: Machine, folder: Path, document: Any) -> Program:
    file = folder / "mcpserver.yaml"
    file.write_text(yaml.safe_dump(document))
    return program([file], None, PLACE, SECRETS, PLATFORM, found)


@pytest.mark.requirement("K8")
def test_a_command_has_its_helper_and_its_folders_here(tmp_path: Path) -> None:
    here = machine(tmp_path, "crm")
    instances = {"memory": "64Mi"}
    document = contained(stdio=["crm", "--data", "/data"], writable=["/data"], instances=instances)

    found = run_on(here, tmp_path, document)

    (sidecar,) = found.pod.sidecars
    local = Folder(tmp_path / "root", tmp_path / "kept").of(sidecar).local(sidecar)
    ours = tmp_path / "root" / "backend-crm"
    assert sidecar.command(here, local, "run") == ["crm", "--data", f"{ours}/data"]
    helped = sidecar.helped(Path("/s/child"), local["/tmp"], here)
    assert dict(zip(helped[::2], helped[1::2], strict=True)) == {
        "--socket": "/s/child",
        "--peer": "1000",
        "--work": f"{ours}/tmp",
        "--memory": str(64 * 1024 * 1024),
    }
    assert sidecar.environment({"PATH": "p"}, local)["HOME"] == f"{ours}/home-breakwater"
    (backend,) = found.pod.settings["backends"]
    assert backend["container"]["stdio"]["user"] == 1000
    assert found.commands == (("crm", "--data", "/data"),)
    assert [note.partition(" ")[0] for note in found.notes] == [
        "spec.backends[crm].container.image"
    ]


@pytest.mark.parametrize(
    ("transport", "network"),
    [
        pytest.param({"stdio": ["crm"]}, "--interactive", id="stdio"),
        pytest.param({"port": 8000, "command": ["crm"]}, "--network host", id="command"),
        pytest.param({"port": 8000}, "--network host", id="entry-point"),
    ],
)
def test_an_image_is_asked_as_its_server_speaks(
    tmp_path: Path, transport: dict[str, Any], network: str
) -> None:
    here = machine(tmp_path, "docker")

    (sidecar,) = run_on(here, tmp_path, contained(**transport)).pod.sidecars

    local = Folder(tmp_path / "root", tmp_path / "kept").of(sidecar).local(sidecar)
    said = " ".join(sidecar.command(here, local, "mine"))
    assert [it for it in ("--interactive", "--network host") if it in said] == [network]


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_an_image_runs_as_hardened_as_an_engine_can(tmp_path: Path, engine: str) -> None:
    here = machine(tmp_path, engine)
    env = [{"name": "TOKEN", "value": "t0ken"}]

    found = run_on(here, tmp_path, contained(port=8000, args=["--quick"], env=env))

    (sidecar,) = found.pod.sidecars
    local = Folder(tmp_path / "root", tmp_path / "kept").of(sidecar).local(sidecar)
    words = sidecar.command(here, local, "mine")
    assert words[:2] == [str(tmp_path / engine), "run"]
    assert words[-2:] == ["registry.example/crm:1", "--quick"]
    said = " ".join(words)
    for wanted in (
        *("--network host", "--user 1000:1000", "--read-only", "--cap-drop ALL"),
        *("--label breakwater.dev/run=mine", "--env TOKEN", "--tmpfs /tmp:mode=1777"),
    ):
        assert wanted in said
    assert ("--userns keep-id" in said) == (engine == "podman")
    assert "t0ken" not in said
    assert sidecar.environment({}, local) == {"TOKEN": "t0ken"}
    assert found.commands == ()


@pytest.mark.parametrize(
    ("programs", "images", "runs"),
    [
        pytest.param(["crm"], False, None, id="its-command"),
        pytest.param(["crm", "docker"], False, None, id="its-command-though-docker-is-here"),
        pytest.param(["crm", "podman"], True, "podman", id="asked-for"),
        pytest.param(["docker", "podman"], False, "docker", id="no-such-command"),
        pytest.param(["dead docker", "podman"], False, "podman", id="no-daemon"),
    ],
)
def test_an_image_is_run_where_its_command_cannot_be(
    tmp_path: Path, programs: list[str], images: bool, runs: str | None
) -> None:
    silent = [each.removeprefix("dead ") for each in programs if each.startswith("dead ")]
    alive = [each for each in programs if not each.startswith("dead ")]
    here = machine(tmp_path, *alive, images=images, silent=silent)

    (sidecar,) = run_on(here, tmp_path, contained(stdio=["crm"])).pod.sidecars

    engine = Path(sidecar.image.engine).name if sidecar.image is not None else None
    assert engine == runs


@pytest.mark.requirement("K8")
def test_why_no_image_can_be_run_is_told(tmp_path: Path) -> None:
    nobody = machine(tmp_path, silent=["docker"])

    with pytest.raises(SpecError) as refused:
        run_on(nobody, tmp_path, contained(stdio=["crm"]))

    assert "of docker and podman none answers (docker: Cannot connect to the daemon)" in str(
        refused.value
    )


async def test_a_folder_too_long_for_a_socket_is_told_before_anything_starts(
    tmp_path: Path,
) -> None:
    here = machine(tmp_path, "crm")
    found = run_on(here, tmp_path, contained(stdio=["crm"]))
    root = tmp_path / ("x" * 100)
    sidecars = Sidecars(
        found.pod, Folder(root, tmp_path), here, {}, tmp_path, tmp_path, "run", print
    )

    with pytest.raises(BreakwaterError, match="set TMPDIR to a folder with a shorter path"):
        await sidecars.start()


def test_the_files_that_a_command_names_are_watched(tmp_path: Path) -> None:
    files = ("server.py", "other.py", "notes/main.py", "build/index.js", "build/lib/a.js")
    others = ("build/node_modules/b.js", "build/.cache/c.js", "text.md", "elsewhere/d.py")
    for name in (*files, *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    commands = [["python", "server.py"], ["python", "-m", "notes.main"], ["node", "build/index.js"]]

    found = {str(file.relative_to(tmp_path)) for file in watched(tmp_path, [], commands)}

    assert found - {"notes.py"} == set(files)
