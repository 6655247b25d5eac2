"""The commands that look at manifests and certificates, through the command line."""

import stat
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from breakwater_operator.cli.main import breakwater, run

SERVER = """
apiVersion: breakwater.dev/v1alpha1
kind: McpServer
metadata: {name: weather}
spec:
  backends: [{python: {server: "weather.main:mcp"}}]
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    file = tmp_path / "mcpserver.yaml"
    file.write_text(SERVER)
    return file


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(breakwater, [str(argument) for argument in arguments])


@pytest.mark.requirement("C3")
def test_validate_says_that_all_is_well(manifest: Path) -> None:
    result = invoke("validate", manifest)

    assert (result.exit_code, result.output) == (0, "weather: good\n")


def test_validate_names_every_fault_and_fails(manifest: Path) -> None:
    manifest.write_text(f"{SERVER}  replicas: -1\n  suspend: 7\n")

    result = invoke("validate", manifest)

    assert result.exit_code == 2
    assert "weather: spec.replicas: -1: " in result.output
    assert "weather: spec.suspend: 7: " in result.output


def test_a_date_is_the_text_that_was_written_as_it_is_to_kubectl(manifest: Path) -> None:
    manifest.write_text(f"{SERVER}  access: {{permissive: {{until: 2027-01-31}}}}\n")

    result = invoke("validate", manifest)

    assert (result.exit_code, result.output) == (0, "weather: good\n")


def test_validate_looks_at_the_claims_beside_a_server(manifest: Path) -> None:
    manifest.write_text(
        f"""{SERVER}
  pod: {{volumes: [{{name: d, persistentVolumeClaim: {{claimName: c}}}}]}}
---
{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: c}},
  spec: {{accessModes: [ReadWriteOnce]}}}}
"""
    )

    result = invoke("validate", manifest)

    assert "weather: spec.replicas: 2 pods cannot share PersistentVolumeClaim" in result.output


@pytest.mark.requirement("C1")
def test_render_prints_the_children_without_secrets(manifest: Path) -> None:
    result = invoke("render", manifest)

    documents = list(yaml.safe_load_all(result.output))
    assert [it["kind"] for it in documents][-2:] == ["Service", "Deployment"]
    secrets = [it for it in documents if it["kind"] == "Secret"]
    assert {value for it in secrets for value in it["data"].values()} == {"(not shown)"}


def test_render_takes_the_operators_configuration(manifest: Path, tmp_path: Path) -> None:
    platform = tmp_path / "platform.yaml"
    platform.write_text("namespace: x\nimages: {runtime: registry.example/own:7}\n")

    result = invoke("render", manifest, "--platform", platform)

    assert "registry.example/own:7" in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["validate", "missing.yaml"], 2, "missing.yaml: cannot be read: No such file"),
        (["render", "missing.yaml"], 2, "missing.yaml: cannot be read: No such file"),
        (["dev", "missing.yaml"], 2, "missing.yaml: cannot be read: No such file"),
        (["dev", "--port", "0", "x.yaml"], 2, "0 is not in the range"),
        (["dev", "--tls", "--ca", "none", "x.yaml"], 2, "make one with `breakwater dev ca`"),
        (["version"], 0, "0.1.0"),
    ],
)
def test_every_way_to_call_it_ends_with_a_code_and_no_traceback(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)

    found = run(arguments)

    output = "".join(capfd.readouterr())
    assert found == code
    assert message in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    "arguments",
    [["validate", "-"], ["render", "-"], ["validate", "--platform", "-", "x.yaml"]],
    ids=" ".join,
)
def test_a_closed_standard_input_is_said_to_be_closed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text(SERVER)
    monkeypatch.setattr(sys, "stdin", None)

    code = run(arguments)

    said = "breakwater: standard input: is closed; write manifests to it, or name a file\n"
    assert (code, capsys.readouterr().err) == (2, said)


@pytest.mark.requirement("A11")
def test_an_authority_is_made_once_and_vouches(tmp_path: Path) -> None:
    ca = tmp_path / "ca"

    made = invoke("dev", "ca", "--ca", ca)
    vouched = invoke("dev", "certificate", "weather.test", "--ca", ca, "--out", tmp_path)
    again = invoke("dev", "ca", "--ca", ca)

    assert (made.exit_code, vouched.exit_code, again.exit_code) == (0, 0, 1)
    assert "weather.test" in vouched.output
    assert stat.S_IMODE((tmp_path / "tls.key").stat().st_mode) == 0o600


TRACED = f"{SERVER}  monitoring: {{tracing: {{}}}}\n  expose: {{host: mcp.example}}\n"


def test_validate_takes_the_platform_for_one_that_has_everything(
    manifest: Path, tmp_path: Path
) -> None:
    manifest.write_text(TRACED)
    platform = tmp_path / "platform.yaml"
    platform.write_text("{namespace: x, images: {runtime: 'r:1'}}")

    unknown, known = (
        invoke("validate", manifest),
        invoke("validate", "--platform", platform, manifest),
    )

    assert (unknown.exit_code, unknown.output) == (0, "weather: good\n")
    assert known.exit_code == 2
    assert "weather: spec.monitoring.tracing: the platform has no collector" in known.output
    assert "weather: spec.expose: the platform has no Gateway" in known.output


def test_render_says_what_the_platform_lacks(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest.write_text(TRACED)

    code = run(["render", str(manifest)])

    assert code == 2
    assert "spec.monitoring.tracing: the platform has no collector" in capsys.readouterr().err
