from collections.abc import Sequence
from pathlib import Path

import pytest

from dev.cluster.cli import main, split
from dev.cluster.existing import ExistingCluster
from dev.cluster.local import LocalCluster
from dev.cluster.provider import ClusterError
from dev.cluster.settings import Settings


@pytest.mark.parametrize(
    ("arguments", "ours", "theirs"),
    [
        (["up", "--name", "a"], ["up", "--name", "a"], []),
        (["kubectl", "get", "--name", "x"], ["kubectl"], ["get", "--name", "x"]),
        (["kubectl", "--name", "a", "-n", "b"], ["kubectl", "--name", "a"], ["-n", "b"]),
        (["helm", "--name=a", "list"], ["helm", "--name=a"], ["list"]),
        (["kubectl", "--", "--name", "a"], ["kubectl"], ["--name", "a"]),
        ([], [], []),
    ],
)
def test_tools_get_their_own_arguments_as_they_are(
    arguments: Sequence[str], ours: list[str], theirs: list[str]
) -> None:
    assert split(arguments) == (ours, theirs)


def test_a_shell_on_a_cluster_finds_helm_once_it_was_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(LocalCluster, "program", lambda *_: tmp_path / "built")
    monkeypatch.setattr("os.execvpe", lambda *_: None)
    cluster = LocalCluster(Settings.from_environment(), "mine")
    cluster.tools.mkdir(parents=True)
    cluster.kubeconfig.touch()

    for _ in range(2):
        main(["helm", "--name", "mine", "list"])

    assert (cluster.tools / "helm").readlink() == tmp_path / "built/helm"


def test_a_borrowed_cluster_takes_images_from_a_registry_only(tmp_path: Path) -> None:
    settings = Settings(cache=tmp_path, clusters=tmp_path)

    with pytest.raises(ClusterError, match="--registry"):
        ExistingCluster(settings, "theirs").load(["image"])


def test_a_context_that_is_not_there_is_said_with_those_that_are(tmp_path: Path) -> None:
    given = tmp_path / "config"
    given.write_text("contexts: [{name: one}, {name: two}]\ncurrent-context: one\n")
    settings = Settings(cache=tmp_path, clusters=tmp_path / "clusters")
    cluster = ExistingCluster(settings, "theirs", kubeconfig=given, context="three")

    with pytest.raises(ClusterError, match=r"no context 'three'; it has: one, two"):
        cluster.up()


def test_a_borrowed_cluster_is_forgotten_not_removed(tmp_path: Path) -> None:
    settings = Settings(cache=tmp_path, clusters=tmp_path / "clusters")
    cluster = ExistingCluster(settings, "theirs")
    cluster.kubeconfig.parent.mkdir(parents=True)
    cluster.kubeconfig.write_text("{}")

    cluster.down()

    assert list(settings.clusters.iterdir()) == []
