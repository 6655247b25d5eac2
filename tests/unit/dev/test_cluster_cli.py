from collections.abc import Sequence
from pathlib import Path

import pytest

from dev.cluster.cli import split
from dev.cluster.existing import ExistingCluster
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
