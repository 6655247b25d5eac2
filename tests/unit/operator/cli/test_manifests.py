"""What files may hold: what kubectl takes is taken, and what it refuses has one clear line.

What kubectl refuses was found with `kubectl apply --dry-run=server` of 1.36.
"""

from pathlib import Path

import pytest
from click.testing import CliRunner

from breakwater_operator.cli.main import breakwater, run
from tests.support.manifests import HEAD, JSON, SERVER, TAKEN, annotated, beside, metadata

DEEP = 40
"""Levels of objects that a CustomResourceDefinition beside a server may well have."""


def told(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> tuple[int, str]:
    file = tmp_path / "server.yaml"
    file.write_bytes(content)

    code = run(["validate", str(file)])

    return code, "".join(capsys.readouterr()).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    "content",
    [
        *(pytest.param(content, id=name) for name, content in TAKEN.items()),
        pytest.param(beside("{apiVersion: k/v1, kind: Kustomization, resources: [a]}"), id="other"),
        pytest.param(
            beside(f"{{kind: Other, spec: {'{a: ' * DEEP}1{'}' * DEEP}}}"), id="deep-other"
        ),
    ],
)
def test_what_kubectl_takes_is_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    assert told(tmp_path, capsys, content.encode()) == (0, "weather: good\n")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xef\xbb\xbf" + SERVER.encode(), id="mark"),
        pytest.param(b"---\n\xef\xbb\xbf" + SERVER.encode(), id="mark-within"),
        pytest.param(SERVER.encode("utf-16"), id="utf-16"),
        pytest.param(SERVER.encode() + b"# caf\xe9\n", id="latin-1-in-a-comment"),
    ],
)
def test_texts_of_windows_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    assert told(tmp_path, capsys, content) == (0, "weather: good\n")


def test_json_may_be_one_object_after_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = told(tmp_path, capsys, (JSON + JSON.replace("weather", "second")).encode())

    assert (code, said) == (0, "weather: good\nsecond: good\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("", "has no McpServer; write one", id="empty"),
        pytest.param("# nothing\n", "has no McpServer; write one", id="comment"),
        pytest.param("hello\n", "server.yaml:1: has a document without a kind", id="text"),
        pytest.param(beside("a: b"), "server.yaml:7: has a document without a kind", id="kind"),
        pytest.param(
            SERVER.replace("McpServer", "MCPServer"),
            "has no McpServer but MCPServer; write one",
            id="other-kind",
        ),
        pytest.param(
            "kind: McpServer\nmetadata: [name]\n",
            "server.yaml:1: has a McpServer without metadata",
            id="metadata-is-a-list",
        ),
        pytest.param(f"{SERVER}\treplicas: 2\n", "server.yaml:6: is not YAML: found", id="tab"),
        pytest.param(
            annotated('"a\0b"'), "server.yaml:6: is not YAML: the character #x0000", id="nul"
        ),
        pytest.param(f"{SERVER}  replicas: {{{{ .R }}}}\n", "render it first", id="template"),
        pytest.param(
            f"{SERVER}  ? [a]\n  : 1\n", "server.yaml:6: is not YAML: found unhashable", id="key"
        ),
        pytest.param(
            annotated("1, x: 2"), "server.yaml:6: is not YAML: x is written twice", id="twice"
        ),
        pytest.param(metadata("~: x"), "server.yaml:3: is not YAML: a key is null", id="null-key"),
        pytest.param(annotated("*none"), "server.yaml:6: is not YAML: found undefined", id="alias"),
        pytest.param(f"{HEAD}spec: &s\n  pod: *s\n", "server.yaml:1: is nested deeper", id="cycle"),
        pytest.param("[" * 9999, "server.yaml: is nested deeper than", id="deep"),
        pytest.param('{"a":' * 99 + "1" + "}" * 99, "server.yaml:1: is nested", id="deep-json"),
        pytest.param(
            "a: &a [1,1,1,1,1,1,1,1,1]\n"
            + "".join(
                f"{each}: &{each} [{','.join([f'*{before}'] * 9)}]\n"
                for before, each in zip("abcdefg", "bcdefgh", strict=True)
            ),
            "server.yaml:1: has more than 1000000 values",
            id="aliases-of-aliases",
        ),
        pytest.param(
            f"{SERVER}  replicas: !!int two\n", "yaml:6: is not YAML: 'two' is no int", id="int"
        ),
        pytest.param(f"{SERVER}  suspend: !!bool two\n", "'two' is no bool", id="bool"),
        pytest.param(f"{SERVER}  pod: !!map x\n", "expected a mapping node", id="map"),
        pytest.param(f"{SERVER}  replicas: {'9' * 5000}\n", "is no int", id="huge"),
        pytest.param(f"{SERVER}  replicas: 0x{'f' * 5000}\n", "number that is too large", id="hex"),
        pytest.param(f"{SERVER}  replicas: .nan\n", "has the number nan", id="nan"),
        pytest.param(f"{SERVER}  replicas: 0b_\n", "spec.replicas: '0b_': ", id="no-number"),
        pytest.param(annotated('"\\ud800"'), "has half of a character", id="surrogate"),
        pytest.param(annotated('"\\Uffffffff"'), "has an escape", id="escape"),
        pytest.param(
            annotated("y"),
            "annotations.x: True: Input should be a valid string; put it in quotes",
            id="y",
        ),
        pytest.param(annotated("12345e6"), "put it in quotes", id="commit"),
        pytest.param(annotated("08"), "put it in quotes", id="leading-zero"),
        pytest.param(
            SERVER.replace("weather}", "123}"),
            "server.yaml:1: McpServer 123: metadata.name is not text; put it in quotes",
            id="name",
        ),
        pytest.param(metadata("labels: {a: 1}"), "weather: metadata.labels.a: 1: ", id="labels"),
        pytest.param(
            metadata("annotations: {a: 1}"),
            "weather: metadata.annotations.a: 1: ",
            id="annotations",
        ),
        pytest.param(
            metadata("namespace: A_B"), "weather: metadata.namespace: 'A_B': ", id="namespace"
        ),
        pytest.param(
            metadata("lables: {}"), "weather: metadata.lables: is not a field", id="metadata"
        ),
        pytest.param(
            SERVER.replace("{name: weather}", "{}"),
            "McpServer without a name: metadata.name: is missing",
            id="no-name",
        ),
        pytest.param(
            metadata("annotations: {a b: c}"),
            "weather: metadata.annotations.a b.[key]: 'a b': write letters",
            id="annotation-key",
        ),
        pytest.param(
            SERVER.replace("weather}", '"a\\e\\n"}'),
            r"a\x1b\n: metadata.name: a\x1b\n: metadata.name must",
            id="what-a-terminal-would-obey",
        ),
        pytest.param(f"{HEAD}spec:\n", "weather: spec.backends: is missing", id="no-spec"),
        pytest.param(f"{HEAD}spec: []\n", "weather: spec: is not an object", id="spec-is-a-list"),
        pytest.param(
            SERVER[SERVER.index("kind") :],
            "weather: apiVersion: found none; accepted: ",
            id="no-version",
        ),
    ],
)
def test_what_kubectl_refuses_has_one_line_that_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    code, said = told(tmp_path, capsys, content.encode())

    assert code == 2
    assert message in said
    assert said.count("\n") == 1


def test_manifests_come_from_the_standard_input_too() -> None:
    good = CliRunner().invoke(breakwater, ["validate", "-"], input=SERVER)
    rendered = CliRunner().invoke(breakwater, ["render", "-"], input=SERVER)

    assert good.output == "weather: good\n"
    assert "kind: Deployment" in rendered.output


def test_what_cannot_be_followed_is_not_run() -> None:
    result = CliRunner().invoke(breakwater, ["dev", "-"], input=SERVER)

    assert result.exit_code == 2
    assert "the standard input cannot be followed; write it to a file" in result.output


def test_a_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["validate", str(tmp_path)])

    assert code == 2
    assert f"{tmp_path}: is a folder; name its files" in capsys.readouterr().err


TWO = "---\n".join(metadata(f"namespace: {name}") for name in ("dev", "prod"))


def test_servers_of_one_name_are_told_apart_by_their_namespace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = told(tmp_path, capsys, TWO.encode())
    chosen = CliRunner().invoke(breakwater, ["render", "-", "--server", "prod/weather"], input=TWO)

    assert (code, said) == (0, "dev/weather: good\nprod/weather: good\n")
    assert "namespace: prod" in chosen.output
    assert "namespace: dev" not in chosen.output


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        pytest.param(TWO, [], "choose one of dev/weather, prod/weather with --server", id="any"),
        pytest.param(TWO, ["--server", "weather"], "choose one of dev/weather, prod/", id="name"),
        pytest.param(
            f"{SERVER}---\n{SERVER}",
            [],
            "has the McpServer default/weather more than once; keep one of them",
            id="the-same-twice",
        ),
    ],
)
def test_a_server_that_is_not_the_only_one_has_to_be_chosen(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str,
    arguments: list[str],
    message: str,
) -> None:
    file = tmp_path / "servers.yaml"
    file.write_text(content)

    code = run(["render", str(file), *arguments])

    assert code == 2
    assert message in capsys.readouterr().err
