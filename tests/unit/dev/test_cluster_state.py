from pathlib import Path

import pytest

from dev.cluster import files
from dev.cluster.local import state
from dev.cluster.provider import ClusterError, Size
from dev.cluster.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache=tmp_path / "cache", clusters=tmp_path / "clusters", run=tmp_path / "run")


def test_what_is_remembered_is_read_back(settings: Settings) -> None:
    layout = state.Layout(settings, "mine")
    record = state.Record(size=Size.CONTROL_PLANE, fake_nodes=3, index=5)

    assert state.load(layout) is None
    state.save(layout, record)
    assert state.load(layout) == record


def test_a_stopped_cluster_keeps_its_addresses(settings: Settings) -> None:
    for name, index in {"mine": 0, "yours": 4}.items():
        record = state.Record(size=Size.NODE, fake_nodes=0, index=index)
        state.save(state.Layout(settings, name), record)

    assert state.taken_indexes(settings, but="mine") == [4]


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a/b", "..", "a" * 33, "a b"])
def test_a_name_that_is_no_file_name_is_refused(settings: Settings, name: str) -> None:
    with pytest.raises(ClusterError, match="--name"):
        state.Layout(settings, name)


def test_a_file_is_replaced_whole_and_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "secret"

    files.write(path, "one", mode=0o600)
    files.write(path, "two", mode=0o600)

    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secret"]


def test_a_lock_in_use_is_announced(tmp_path: Path) -> None:
    said: list[str] = []

    def wait() -> None:
        said.append("waiting")
        raise TimeoutError

    with (
        files.locked(tmp_path / "lock"),
        pytest.raises(TimeoutError),
        files.locked(tmp_path / "lock", waiting=wait),
    ):
        pytest.fail("the lock was given twice")
    assert said == ["waiting"]
