"""The images: what is in them, what is not, and that they run with nothing writable."""

from __future__ import annotations

import hashlib
import json
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dev import compiled
from dev.cluster.progress import Progress
from dev.images import archive, cache
from dev.images.__main__ import parser, push
from dev.images.build import Builder, Built
from dev.images.engines import Buildah
from dev.images.target import ROOT, Image, version
from tests.support.registry import registry

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = ("operator", "runtime")
EXAMPLE = "python-server"
USER = "65532:65532"
PREFIX = "org.opencontainers.image"

ASK_EXAMPLE = """
import asyncio, json
from weather.main import mcp

async def ask():
    tools = [tool.name for tool in await mcp.list_tools()]
    felt = await mcp.call_tool("feel", {"temperature": 5, "humidity": 80, "wind": 30})
    profile = await mcp.call_tool("pressure_profile", {"altitudes": [0, 5500]})
    return [tools, felt.structured_content, profile.structured_content]

print(json.dumps(asyncio.run(ask())))
"""


@pytest.fixture(scope="session")
def builder() -> Builder:
    return Builder(cache.default(), Progress())


@pytest.fixture(scope="session")
def built(builder: Builder) -> dict[str, Built]:
    return {name: builder.build(Image(name)) for name in (*OURS, EXAMPLE)}


@pytest.fixture(scope="session")
def unpacked(built: dict[str, Built]) -> Iterator[dict[str, Path]]:
    # Half a gigabyte: removed at once, where pytest would keep it for three runs.
    with tempfile.TemporaryDirectory() as folder:
        roots = {name: Path(folder, name) for name in built}
        for name, root in roots.items():
            archive.read(Path(built[name].tar)).unpack(root)
        Path(folder).chmod(0o755)
        yield roots


def run_read_only(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of an image as its user, on its root file system made read-only."""
    mounted = f"mount --bind {root} {root} && mount -o remount,ro,bind {root}"
    return subprocess.run(
        [
            *("unshare", "--mount", "--net", "sh", "-c", f'{mounted} && exec chroot "$@"', "sh"),
            *(f"--userspec={USER}", str(root), *command),
        ],
        check=False,
        text=True,
        capture_output=True,
        env={"PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )


@pytest.mark.parametrize("name", [*OURS, EXAMPLE])
def test_an_image_runs_as_a_numeric_user_and_says_what_it_is(
    built: dict[str, Built], name: str
) -> None:
    config = archive.read(Path(built[name].tar)).config["config"]

    assert config["User"] == USER
    assert config["Entrypoint"] == [f"breakwater-{'operator' if name == 'operator' else 'runtime'}"]
    assert "PYTHONUNBUFFERED=1" in config["Env"]
    labels = config["Labels"]
    assert labels[f"{PREFIX}.title"] == Image(name).repository
    assert labels[f"{PREFIX}.version"] == version()
    assert labels[f"{PREFIX}.licenses"] == "Apache-2.0"
    assert {f"{PREFIX}.revision", f"{PREFIX}.created", f"{PREFIX}.description"} <= set(labels)


@pytest.mark.parametrize("name", OURS)
def test_python_is_the_only_program_that_an_image_brings(
    built: dict[str, Built], name: str
) -> None:
    members = list(archive.read(Path(built[name].tar)).members())

    programs = {
        Path(member.name).name
        for member in members
        if Path(member.name).parent.name in {"bin", "sbin"} and not member.isdir()
    }
    helper = {"breakwater-child"} if name == "runtime" else set()
    assert programs == {f"breakwater-{name}", "python", "python3", "python3.11", *helper}
    packages = {Path(member.name).name.split("-")[0] for member in members}
    assert not packages & {"pip", "setuptools", "wheel", "ensurepip", "dash", "busybox", "perl"}


@pytest.mark.parametrize("name", [*OURS, EXAMPLE])
def test_nobody_but_root_may_write_in_an_image_except_in_tmp(
    built: dict[str, Built], name: str
) -> None:
    members = list(archive.read(Path(built[name].tar)).members())

    assert {(member.uid, member.gid) for member in members} == {(0, 0)}
    writable = {m.name.rstrip("/") for m in members if m.mode & 0o022 and not m.issym()}
    assert writable == {"tmp"}
    assert not [m.name for m in members if m.mode & (stat.S_ISUID | stat.S_ISGID)]


@pytest.mark.parametrize("name", OURS)
def test_scanners_find_the_debian_packages_that_are_in_an_image(
    unpacked: dict[str, Path], name: str
) -> None:
    status = unpacked[name] / "var/lib/dpkg/status.d"

    assert (unpacked[name] / "etc/os-release").exists()
    for package in ("libc6", "libssl3"):
        assert "\nVersion: " in (status / package).read_text()
        assert (unpacked[name] / f"usr/share/doc/{package}/copyright").exists()


@pytest.mark.parametrize("name", OURS)
def test_an_image_starts_with_nothing_writable(unpacked: dict[str, Path], name: str) -> None:
    done = run_read_only(unpacked[name], f"/opt/breakwater/bin/breakwater-{name}", "--help")

    assert done.returncode == 0, done.stderr
    assert f"breakwater-{name}" in done.stdout


def test_the_helper_of_commands_copies_itself_to_where_others_start_it(
    unpacked: dict[str, Path], tmp_path: Path
) -> None:
    root = unpacked["runtime"]
    helper = root / "usr/local/bin/breakwater-child"
    copy = tmp_path / "breakwater-child"

    subprocess.run([helper, "--install", copy], check=True)

    assert copy.read_bytes() == helper.read_bytes()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o755
    # It runs in images of which nothing is known: it needs no loader and no library.
    assert b"/lib64/ld-linux" not in helper.read_bytes()


@pytest.mark.parametrize("name", OURS)
def test_nothing_is_compiled_when_an_image_starts(unpacked: dict[str, Path], name: str) -> None:
    for source in (unpacked[name] / "opt/breakwater").rglob("*.py"):
        assert list((source.parent / "__pycache__").glob(f"{source.stem}.cpython-*.pyc")), source


def test_the_hot_path_in_the_image_is_compiled(unpacked: dict[str, Path]) -> None:
    names = [f"breakwater_runtime.{module.replace('/', '.')}" for module in compiled.MODULES]
    code = (
        "import importlib, sys; "
        "print([n for n in sys.argv[1:] if importlib.import_module(n).__file__[-3:] != '.so'])"
    )

    done = run_read_only(unpacked["runtime"], "/opt/breakwater/bin/python", "-c", code, *names)

    assert done.stdout.strip() == "[]", done.stderr


def test_python_in_an_image_knows_certificates_and_time_zones(unpacked: dict[str, Path]) -> None:
    code = (
        "import ssl, zoneinfo; zoneinfo.ZoneInfo('Europe/Berlin'); "
        "print(len(ssl.create_default_context().get_ca_certs()))"
    )

    done = run_read_only(unpacked["runtime"], "/opt/breakwater/bin/python", "-c", code)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50


def test_the_operator_and_the_runtime_share_their_lowest_layer(built: dict[str, Built]) -> None:
    assert built["operator"].layers[0] == built["runtime"].layers[0]


def test_an_example_is_the_runtime_and_one_layer(built: dict[str, Built]) -> None:
    assert built[EXAMPLE].layers[:-1] == built["runtime"].layers
    steps = (ROOT / "examples" / EXAMPLE / "Containerfile").read_text().splitlines()
    assert [step for step in steps if step.startswith(("COPY", "RUN", "ADD"))] == [
        "COPY weather/ /srv/weather/"
    ]


def test_what_an_example_copied_can_be_imported_and_called(unpacked: dict[str, Path]) -> None:
    done = run_read_only(unpacked[EXAMPLE], "/opt/breakwater/bin/python", "-c", ASK_EXAMPLE)

    assert done.returncode == 0, done.stderr
    tools, felt, profile = json.loads(done.stdout)
    assert tools == ["feel", "pressure_profile"]
    assert felt == {"dew_point": 1.8, "wind_chill": 0.1}
    assert profile == {"result": [1013.2, 505.1]}


def test_an_image_that_is_there_is_not_built_again(
    builder: Builder, built: dict[str, Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder, "build_into", lambda *_: pytest.fail("it was built again"))

    assert builder.build(Image("runtime")) == built["runtime"]


def test_images_are_pushed_under_the_version(
    builder: Builder, built: dict[str, Built], capsys: pytest.CaptureFixture[str]
) -> None:
    with registry() as server:
        command = ["push", f"{server.host}/team", "--images", "runtime", "--insecure"]
        push(builder, parser().parse_args(command))

    name = f"team/breakwater-runtime:{version()}"
    assert capsys.readouterr().out.strip() == f"{server.host}/{name}"
    manifest = json.loads(server.manifests[name])
    assert manifest["config"]["digest"] == built["runtime"].digest
    layers = [layer["digest"] for layer in manifest["layers"]]
    assert [hashlib.sha256(server.blobs[d]).hexdigest() for d in layers] == [
        d.removeprefix("sha256:") for d in layers
    ]
    assert len(layers) == len(built["runtime"].layers)


def forgetful(builder: Builder, folder: Path) -> Builder:
    """Turn a builder's engine into one that knows nothing of earlier builds, where that can be."""
    if isinstance(builder.engine, Buildah):
        builder.engine = Buildah(folder)
    return builder


@pytest.mark.prove
@pytest.mark.parametrize("name", OURS)
def test_two_builds_give_the_same_layers(name: str) -> None:
    first = Builder(cache.default(), Progress()).build(Image(name))
    reference = Image(name).reference("second-build")

    with tempfile.TemporaryDirectory() as folder:
        again = forgetful(Builder(cache.default(), Progress()), Path(folder, "storage"))
        second = again.build_into(Image(name), Path(folder), reference, cached=False)
        again.engine.remove(reference)

        assert second.layers == first.layers
        assert configuration(second) == configuration(first)


def configuration(built: Built) -> dict[str, Any]:
    """Return what an image says about itself, without the engine's record of its steps."""
    config = archive.read(Path(built.tar)).config
    return {key: value for key, value in config.items() if key != "history"}
